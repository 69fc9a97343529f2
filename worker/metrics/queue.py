"""Measures the queue and the dead letters, at the moment of a scrape."""

from dataclasses import dataclass

import redis

from telemetry import Metrics
from worker.adapters.redis.console.dead_letters import RedisDeadLetters
from worker.adapters.redis.console.queue_age import RedisQueueAge
from worker.adapters.redis.errors import REDIS_ERRORS

_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class QueueGauges:
    """The gauges of one queue; a Redis that does not answer reads as -1."""

    client: redis.Redis
    queue: str
    dead_letters: RedisDeadLetters

    def attach(self, metrics: Metrics) -> None:
        """Let each scrape ask."""
        metrics.gauge("slotgen_queue_depth").set_function(self.depth)
        metrics.gauge("slotgen_queue_oldest_seconds").set_function(self.oldest)
        metrics.gauge("slotgen_dead_letters").set_function(self.dead)

    def depth(self) -> int:
        """Return how many messages wait on the queue."""
        try:
            return self.client.llen(self.queue)
        except REDIS_ERRORS:
            return _UNKNOWN

    def oldest(self) -> float:
        """Return how long the oldest message has waited at the least, in seconds."""
        try:
            seconds = RedisQueueAge(self.client, self.queue).oldest_seconds()
        except REDIS_ERRORS:
            return _UNKNOWN
        return _UNKNOWN if seconds is None else seconds

    def dead(self) -> int:
        """Return how many messages are dead."""
        try:
            return self.dead_letters.count()
        except REDIS_ERRORS:
            return _UNKNOWN
