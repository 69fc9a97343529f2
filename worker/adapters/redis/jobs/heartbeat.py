"""Tells the other workers that this process is alive, from a thread that outlives its consumer.

A warm shutdown stops Celery's event loop first and then waits for the jobs in hand: heartbeats that came
from that loop would end while calls are in flight, and the others would take the jobs over.
"""

from collections.abc import Callable
from dataclasses import dataclass

import redis

from worker.adapters.redis.jobs.liveness import beat
from worker.adapters.redis.jobs.queue_age import RedisQueueAge
from worker.adapters.redis.keys import WORKER_INFO


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Notes `worker_id` and the time in `<namespace>:workers`, three times in its `lost_seconds`.

    With each beat it leaves the worker's info, which `info(wall_ms)` writes, and notes the queue's arrivals.
    """

    client: redis.Redis
    namespace: str
    worker_id: str
    lost_seconds: int
    info: Callable[[int], str]

    def leave(self) -> None:
        """Remove the info; the other workers bring back what this one still holds. Raises RedisError."""
        self.client.delete(WORKER_INFO(self.namespace, self.worker_id))

    def beat(self) -> None:
        """Send a heartbeat, from any thread. Raises RedisError."""
        # First, and by itself: nothing that follows may make this worker look lost.
        wall_ms = beat(self.client, self.namespace, self.worker_id, self.lost_seconds)
        # A worker that fell silent is shown as such for a while: it may be hanging with calls in flight.
        self.client.set(
            WORKER_INFO(self.namespace, self.worker_id), self.info(wall_ms), ex=WORKER_INFO.seconds
        )
        RedisQueueAge(self.client, self.namespace).note()
