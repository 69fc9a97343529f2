"""Tells the other workers that this process lives, from a thread that outlives its consumer.

A warm shutdown stops Celery's event loop first and then waits for the jobs in hand: heartbeats that came
from that loop would end while calls are in flight, and the others would take the jobs over.
"""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from worker.adapters.redis.console.queue_age import RedisQueueAge
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.keys import WORKER_INFO, WORKERS

_RETRY_SECONDS = 0.25


@dataclass(slots=True)
class Heartbeat:
    """A thread that notes `worker_id` and the time in `<namespace>:workers`, thrice in `lost_seconds`.

    With each sign it leaves the worker's card, which `info(wall_ms)` writes, and notes the queue's arrivals.
    """

    client: redis.Redis
    namespace: str
    worker_id: str
    lost_seconds: int
    info: Callable[[int], str]
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Give signs until `stop`."""
        self._thread = threading.Thread(target=self._run, name="signs-of-life", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread: what this worker may still hold is the others' to bring back."""
        self._stopped.set()
        if self._thread:
            self._thread.join()
        with contextlib.suppress(*REDIS_ERRORS):
            self.client.delete(WORKER_INFO(self.namespace, self.worker_id))

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.beat()
            except REDIS_ERRORS:
                # Silence is what the others would see, and what they are there for; but once Redis is back,
                # they must hear from the living soon.
                self._stopped.wait(_RETRY_SECONDS)
                continue
            self._stopped.wait(self.lost_seconds / 3)

    def beat(self) -> None:
        """Give one now, from any thread. Raises RedisError."""
        seconds, micros = self.client.time()
        # First, and by itself: nothing that follows may make this worker look lost.
        self.client.zadd(WORKERS(self.namespace), {self.worker_id: seconds})
        info = self.info(seconds * 1000 + micros // 1000)
        self.client.set(WORKER_INFO(self.namespace, self.worker_id), info, ex=self.lost_seconds)
        RedisQueueAge(self.client, self.namespace).note()
