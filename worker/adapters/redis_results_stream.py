"""Hands results to consumers that wait on no task id: one entry for each job in a bounded Redis stream."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import RetryCallState, retry, retry_if_exception_type, wait_exponential

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


@dataclass(frozen=True, slots=True)
class ResultsStream:
    """Writes deliveries before their message is acknowledged: each arrives at least once.

    About `kept` entries stay; who reads more slowly than they are written finds the older ones gone.
    """

    client: redis.Redis
    namespace: str
    kept: int

    # As the result backend does: a Redis that is away or full gets its time, the message meanwhile stays.
    @retry(
        retry=retry_if_exception_type((RedisError, OSError)),
        wait=wait_exponential(multiplier=0.05, max=1),
        before_sleep=_say,
    )
    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Add one entry for each of `deliveries`, its field `delivery` being delivery v1 as JSON.

        Waits for a Redis that does not take them, however long.
        """
        pipe = self.client.pipeline()
        for each in deliveries:
            document = json.dumps(each.as_document(), ensure_ascii=False)
            pipe.xadd(results_key(self.namespace), {FIELD: document}, maxlen=self.kept, approximate=True)
        pipe.execute()
