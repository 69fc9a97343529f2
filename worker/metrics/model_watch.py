"""Keeps what the server says of the model: asks once in a while, beside the jobs, and waits for nothing."""

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tasks.operations.model_listing import ModelListing
from telemetry import Metrics, emit

_log = logging.getLogger("slotgen.worker")
_EVERY_SECONDS = 3600.0
_AGAIN_SECONDS = 300.0
# An answer is believed that long when later ones fail: a date does not change with the weather.
_KEPT_SECONDS = 86_400.0
_UNKNOWN = -1


@dataclass(slots=True)
class ModelWatch:
    """The listing of `model`, as it was answered last.

    `ask` begins to ask, and returns at once; `step` is to be called every few seconds. The first question
    comes `first_seconds` after the start, for the jobs that wait then come first.
    """

    model: str
    ask: Callable[[], Future[ModelListing]]
    metrics: Metrics
    first_seconds: float = 2.0
    now_mono: Callable[[], float] = time.monotonic
    listing: ModelListing = field(init=False)
    _asked: Future[ModelListing] | None = None
    _due_mono: float = field(init=False)
    _answered_mono: float = -math.inf
    _said: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        self._due_mono = self.now_mono() + self.first_seconds
        self._set(ModelListing(self.model))

    def step(self) -> bool:
        """Ask if it is time, or take note of an answer; return whether one has come."""
        if self._asked is None:
            if self.now_mono() >= self._due_mono:
                self._asked = self.ask()
        elif self._asked.done():
            asked, self._asked = self._asked, None
            # The client could not be opened, which is in the log.
            broke = asked.exception()
            self._note(ModelListing(self.model, unknown=type(broke).__name__) if broke else asked.result())
            return True
        return False

    def _note(self, found: ModelListing) -> None:
        now = self.now_mono()
        is_known = found.listed is not None
        self._due_mono = now + (_EVERY_SECONDS if is_known else _AGAIN_SECONDS)
        if is_known or now - self._answered_mono > _KEPT_SECONDS:
            self._set(found)
        if is_known:
            self._answered_mono = now
        said = (found.problem(int(time.time() * 1000)), found.unknown)
        if said == self._said:
            return
        self._said = problem, unknown = said
        if problem:
            emit(_log, logging.WARNING, "model_at_risk", model=self.model, problem=problem)
        elif unknown:
            emit(_log, logging.INFO, "model_unknown", model=self.model, problem=unknown)

    def _set(self, listing: ModelListing) -> None:
        self.listing = listing
        listed = _UNKNOWN if listing.listed is None else int(listing.listed)
        self.metrics.gauge("slotgen_model_listed").labels(self.model).set(listed)
        ends = math.nan if listing.shutdown_date is None else math.inf
        if day := listing.shutdown:
            ends = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        self.metrics.gauge("slotgen_model_shutdown_timestamp_seconds").labels(self.model).set(ends)
