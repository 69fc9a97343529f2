"""Hands results to consumers that wait on no task id: one entry for each job in a bounded Redis stream."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from tasks.delivery import Delivery
from telemetry import emit
from worker.adapters.redis_clients import RedisError

if TYPE_CHECKING:
    import redis

_log = logging.getLogger("slotgen.results")
FIELD = "delivery"


def results_key(namespace: str) -> str:
    """Return the stream of the latest deliveries."""
    return f"{namespace}:results"


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    emit(
        _log,
        logging.WARNING,
        "results_stream_refused",
        error=type(error).__name__,
        attempt=state.attempt_number,
    )


def _give_up(_: RetryCallState) -> NoReturn:
    raise CancelledError


@dataclass(frozen=True, slots=True)
class ResultsStream:
    """Writes deliveries before their message is acknowledged: each arrives at least once.

    About `kept` entries stay; who reads more slowly than they are written finds the older ones gone.
    """

    client: redis.Redis
    namespace: str
    kept: int
    _closing: threading.Event = field(default_factory=threading.Event)

    def is_usable(self) -> bool:
        """Whether the key is a stream, or free; True while Redis cannot be asked."""
        try:
            return self.client.type(results_key(self.namespace)) in {b"stream", b"none"}
        except (RedisError, OSError):
            return True

    def give_up(self) -> None:
        """End every `add` that waits: the worker stops, and its messages go back to the queue."""
        self._closing.set()

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Add one entry for each of `deliveries`, its field `delivery` being delivery v1 as JSON.

        Waits for a Redis that does not take them, as the result backend does; the message meanwhile stays.

        Raises:
            CancelledError: the worker is shutting down.

        """
        patiently = Retrying(
            retry=retry_if_exception_type((RedisError, OSError)),
            wait=wait_exponential(multiplier=0.05, max=1),
            stop=stop_when_event_set(self._closing),
            sleep=sleep_using_event(self._closing),
            before_sleep=_say,
            retry_error_callback=_give_up,
        )
        patiently(self._add, list(deliveries))

    def _add(self, deliveries: list[Delivery]) -> None:
        pipe = self.client.pipeline()
        for each in deliveries:
            document = json.dumps(each.as_document(), ensure_ascii=False)
            pipe.xadd(results_key(self.namespace), {FIELD: document}, maxlen=self.kept, approximate=True)
        pipe.execute()
