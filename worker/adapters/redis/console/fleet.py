"""Shows the workers alive in Redis, and collects their confirmations that they have halted."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import redis
import redis.client
from redis.exceptions import NoPermissionError

from tasks.generate.intake import is_ours
from tasks.operations.fleet import Confirmation, WorkerInfo
from tasks.operations.overview import StrayList
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.jobs.queue_age import RedisQueueAge
from worker.adapters.redis.keys import (
    AUDIT,
    BINDING,
    DEFAULT_PRIORITY_QUEUE,
    DEFAULT_QUEUE,
    HALTS,
    KILL,
    WORKER_INFO,
    WORKERS,
)
from worker.adapters.redis.records import read_record
from worker.adapters.redis.waiting import PRIORITIES, depth, lists
from worker.adapters.redis.wrong_keys import known_name, raw_name

# This many from each end of a list are enough to see whose messages it holds.
_PEEKED = 5
_SCANS = 10
_OTHER_QUEUES = 50
# Of what anybody with a worker's password may have put there: the newest heartbeats, and a description of
# four times its bound.
_MOST_WORKERS = 2_000
_MOST_BYTES = 4096


@dataclass(slots=True)
class HaltListener:
    """Collects confirmations of halts, one for each worker. `mono` is the clock of its waits, in seconds."""

    channel: redis.client.PubSub
    confirmed: dict[str, Confirmation] = field(default_factory=dict)
    mono: Callable[[], float] = time.monotonic

    def wait_for(
        self, worker_ids: set[str], timeout_seconds: float, *, at_least: int = 0
    ) -> dict[str, Confirmation]:
        """Return the confirmations once all of `worker_ids`, and `at_least` so many, gave theirs.

        Or return once the time is up.
        """
        deadline_mono = self.mono() + timeout_seconds
        with unavailable(self.channel):
            while worker_ids - self.confirmed.keys() or len(self.confirmed) < at_least:
                left_seconds = deadline_mono - self.mono()
                if left_seconds <= 0:
                    break
                self._hear(self.channel.get_message(timeout=left_seconds))
        return self.confirmed

    def close(self) -> None:
        """Stop listening."""
        self.channel.close()

    def _hear(self, message: dict[str, Any] | None) -> None:
        if message is None or message["type"] != "message":
            return
        if said := read_record(Confirmation, message["data"]):
            before = self.confirmed.get(said.worker_id)
            self.confirmed[said.worker_id] = _together(before, said) if before else said


@dataclass(frozen=True, slots=True)
class RedisFleet:
    """The workers of one namespace; a worker's info ends with its heartbeats."""

    client: redis.Redis
    namespace: str

    def workers(self) -> list[WorkerInfo]:
        """Return what each worker said of itself last: first the silent ones, then the oldest; 2,000 at most.

        Raises StoreUnavailable.
        """
        with unavailable(self.client):
            seconds, micros = self.client.time()
            known = cast("list[bytes]", self.client.zrange(WORKERS(self.namespace), -_MOST_WORKERS, -1))
            with self.client.pipeline(transaction=False) as pipe:
                for each in known:
                    # A name that is not UTF-8 is not a worker's, and has no info.
                    key = WORKER_INFO(self.namespace, each.decode(errors="backslashreplace"))
                    pipe.getrange(key, 0, _MOST_BYTES - 1)
                infos = pipe.execute(raise_on_error=False)
        now_wall_ms = seconds * 1000 + micros // 1000
        found = [
            dataclasses.replace(info, silent_seconds=info.silent_at(now_wall_ms))
            for raw in infos
            if isinstance(raw, bytes) and (info := read_record(WorkerInfo, raw))
        ]
        return sorted(found, key=lambda each: (each.silent_seconds is None, each.started_wall_ms))

    def queue_depth(self) -> int:
        """Return how many messages wait. Raises StoreUnavailable."""
        with unavailable(self.client):
            return depth(self.client, self.namespace)

    def strays(self) -> list[StrayList]:
        """Return the lists with messages of ours that were sent without a queue, or to one with another name.

        Of the first 100,000 keys. Raises StoreUnavailable.
        """
        with unavailable(self.client):
            names = [DEFAULT_QUEUE(), *(DEFAULT_PRIORITY_QUEUE(each) for each in PRIORITIES)]
            for queue in islice(self._other_queues(), _OTHER_QUEUES):
                # A role may have no access to the keys of others.
                with contextlib.suppress(NoPermissionError):
                    names += lists(queue) if depth(self.client, queue) else ()
            return [found for each in names if (found := self._stray(each))]

    def _other_queues(self) -> Iterator[str]:
        """Yield the queues that Celery's producers have declared and that belong to no namespace of ours."""
        binding = BINDING("", "")
        cursor = 0
        for _ in range(_SCANS):
            cursor, found = cast("tuple[int, list[bytes]]", self.client.scan(cursor, f"{binding}*", 10_000))
            for queue in (known_name(each).removeprefix(binding) for each in found):
                with contextlib.suppress(NoPermissionError):
                    ours = [row(queue) for row in (WORKERS, KILL, AUDIT)]
                    if queue not in {self.namespace, DEFAULT_QUEUE()} and not self.client.exists(*ours):
                        yield queue
            if not cursor:
                return

    def _stray(self, known: str) -> StrayList | None:
        name = raw_name(known)
        messages = self.client.llen(name)
        ends = ((0, _PEEKED - 1), (-_PEEKED, -1)) if messages else ()
        # Another application's queue may have that name as well.
        ours = [is_ours(each) for end in ends for each in cast("list[bytes]", self.client.lrange(name, *end))]
        return StrayList(known, messages, shared=not all(ours)) if any(ours) else None

    def queue_oldest_seconds(self) -> float | None:
        """Return the age of the oldest waiting message. Raises StoreUnavailable."""
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


def _together(before: Confirmation, after: Confirmation) -> Confirmation:
    # A worker whose own look finds the kill switch on a moment before Redis reports the change speaks twice.
    halt_ms = max(before.halt_ms, after.halt_ms)
    return Confirmation(after.worker_id, before.calls + after.calls, halt_ms)


def encode(said: WorkerInfo | Confirmation) -> str:
    """Return what a worker keeps under `WORKER_INFO`, or publishes on `HALTS`."""
    return json.dumps(dataclasses.asdict(said))
