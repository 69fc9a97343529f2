"""Shows the living workers in Redis, and carries their word that they have halted."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tasks.operations.changes.halting import Confirmation
from tasks.operations.fleet import WorkerInfo
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import HALTS, WORKER_INFO, WORKERS

if TYPE_CHECKING:
    import redis
    import redis.client


@dataclass(frozen=True, slots=True)
class RedisFleet:
    """Cards are `<namespace>:worker:<id>`, and end by themselves when their worker falls silent."""

    client: redis.Redis
    namespace: str

    def workers(self) -> list[WorkerInfo]:
        """Return the cards of the living workers, oldest first. Raises StoreUnavailable."""
        with unavailable(self.client):
            known = cast("list[bytes]", self.client.zrange(WORKERS(self.namespace), 0, -1))
            keys = [WORKER_INFO(self.namespace, each.decode()) for each in known]
            infos = cast("list[bytes | None]", self.client.mget(keys)) if keys else []
        found = [info for raw in infos if raw and (info := _info(raw))]
        return sorted(found, key=lambda each: each.started_wall_ms)

    def queue_depth(self) -> int:
        """Return how many messages wait. Raises StoreUnavailable."""
        with unavailable(self.client):
            return self.client.llen(self.namespace)

    def queue_oldest_seconds(self) -> float | None:
        """Return the age of the oldest waiting message. Raises StoreUnavailable."""
        from worker.adapters.redis.console.queue_age import RedisQueueAge  # noqa: PLC0415 - one command in ten asks

        with unavailable(self.client):
            return RedisQueueAge(self.client, self.namespace).oldest_seconds()

    def listen(self) -> HaltListener:
        """Return a listener that hears every halt from now on; close it. Raises StoreUnavailable."""
        with unavailable(self.client):
            channel: redis.client.PubSub = self.client.pubsub()  # type: ignore[no-untyped-call]  # theirs
            channel.subscribe(HALTS(self.namespace))
            # The answer to SUBSCRIBE: from here on nothing is missed.
            channel.get_message(timeout=1)
        return HaltListener(channel)


@dataclass(slots=True)
class HaltListener:
    """Collects confirmations of halts, one for each worker. `mono` is the clock of its waits, in seconds."""

    channel: redis.client.PubSub
    confirmed: dict[str, Confirmation] = field(default_factory=dict)
    mono: Callable[[], float] = time.monotonic

    def wait_for(self, worker_ids: set[str], timeout_seconds: float) -> dict[str, Confirmation]:
        """Return the confirmations once all of `worker_ids` have given theirs, or the time is up."""
        deadline_mono = self.mono() + timeout_seconds
        with unavailable(self.channel):
            while worker_ids - self.confirmed.keys():
                left_seconds = deadline_mono - self.mono()
                if left_seconds <= 0:
                    break
                self._hear(self.channel.get_message(timeout=left_seconds))
        return self.confirmed

    def close(self) -> None:
        """Stop listening."""
        self.channel.close()

    def _hear(self, message: dict[str, Any] | None) -> None:
        if message is not None and message["type"] == "message" and (said := _said(message["data"])):
            before = self.confirmed.get(said.worker_id)
            self.confirmed[said.worker_id] = _together(before, said) if before else said


def _together(before: Confirmation, after: Confirmation) -> Confirmation:
    # A worker whose own look finds the brake on a moment before Redis reports the change speaks twice.
    halt_ms = max(before.halt_ms, after.halt_ms)
    return Confirmation(after.worker_id, before.calls + after.calls, halt_ms)


def confirmation(said: Confirmation) -> str:
    """Return what a worker publishes on `HALTS`."""
    return json.dumps(dataclasses.asdict(said))


def info(of: WorkerInfo) -> str:
    """Return what a worker keeps under `WORKER_INFO`."""
    return json.dumps(dataclasses.asdict(of))


# A worker of another version says other things, of itself and of its halts; they are left out.
def _info(raw: bytes) -> WorkerInfo | None:
    try:
        return WorkerInfo(**json.loads(raw))
    except (TypeError, ValueError):
        return None


def _said(raw: bytes) -> Confirmation | None:
    try:
        return Confirmation(**json.loads(raw))
    except (TypeError, ValueError):
        return None
