"""Puts messages on the queue, takes back those not started yet, and looks for stored results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import redis

from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import TASK_META
from worker.adapters.redis.waiting import depth, lists

# The results of this many tasks are read at once, and of half as many while Redis cuts off a client that is
# told so much (client-output-buffer-limit): those of one spec may have 100 MB.
_BATCH = 128


@dataclass(frozen=True, slots=True)
class RedisOutbox:
    """One queue, as its producers use it. Every method raises StoreUnavailable."""

    client: redis.Redis
    queue: str

    def push(self, messages: Sequence[str]) -> int:
        """Put all of `messages` on the queue, or none; return how many wait on its own list now."""
        with unavailable(self.client, self.queue):
            return self.client.lpush(self.queue, *messages)

    def waiting(self) -> int:
        """Return how many messages wait on the queue."""
        with unavailable(self.client, f"{self.queue} or one of its priorities"):
            return depth(self.client, self.queue)

    def take_back(self, message: str) -> bool:
        """Take `message` off the queue again; False if a worker has it, or had it.

        Redis compares it with each message that waits.
        """
        with unavailable(self.client), self.client.pipeline(transaction=False) as asked:
            for each in lists(self.queue):
                # Every copy: a push whose reply was lost may have been repeated.
                asked.lrem(each, 0, message)
            return any(asked.execute())

    def stored(self, task_ids: Sequence[str]) -> list[bytes | None]:
        """Return what Celery's result backend has stored for each task, in their order."""
        found: list[bytes | None] = []
        size = _BATCH
        with unavailable(self.client):
            while len(found) < len(task_ids):
                keys = [TASK_META(each) for each in task_ids[len(found) : len(found) + size]]
                try:
                    found += cast("list[bytes | None]", self.client.mget(keys))
                except redis.ConnectionError:
                    if size == 1:
                        raise
                    size //= 2
        return found
