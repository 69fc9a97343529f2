"""Lets the consumer wait while Redis refuses what it asks, and says once why, and once that it is over."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from kombu.asynchronous import get_event_loop

from telemetry import emit
from worker.adapters.redis.errors import Cause, unavailable_by

_log = logging.getLogger("slotgen.delivery")
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(slots=True)
class Refusals:
    """What Redis refuses one process's consumer; `cause` is why it does so now.

    A refusal is no broken connection: to open a new one would bring every message in hand back to the queue.
    """

    cause: Cause | None = None
    _pause_seconds: float = _FIRST_PAUSE_SECONDS
    _until_mono: float = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether Redis was asked a moment ago."""
        return time.monotonic() < self._until_mono

    def refused(self, error: Exception, client: Any) -> None:
        """Wait, twice as long each time in a row (0.1 to 2 s)."""
        self._until_mono = time.monotonic() + self._pause_seconds
        # Without the timer nothing would wake an idle consumer.
        if hub := get_event_loop():
            hub.call_later(self._pause_seconds, lambda: None)
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        found = unavailable_by(error, client)
        if found.cause is not self.cause:
            self.cause = found.cause
            emit(
                _log,
                logging.ERROR,
                "redis_refused",
                address=found.address,
                cause=found.cause.what,
                remedy=found.cause.remedy,
                error=found.error,
            )

    def accepted(self) -> None:
        """Redis has done what it was asked."""
        if self.cause is not None:
            self.cause, self._pause_seconds = None, _FIRST_PAUSE_SECONDS
            emit(_log, logging.INFO, "redis_accepted")
