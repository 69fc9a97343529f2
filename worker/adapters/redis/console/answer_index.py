"""Counts and drops stored answers, for the console."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import ANSWER, ANSWERS
from worker.adapters.redis.wrong_keys import known_name, raw_name

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class RedisAnswerIndex:
    """The stored answers of one namespace. Every method raises StoreUnavailable."""

    client: redis.Redis
    namespace: str

    def count(self) -> int:
        """Return how many answers are kept."""
        with unavailable(self.client):
            return self.client.zcard(ANSWERS(self.namespace))

    def oldest_seconds(self) -> int | None:
        """Return for how long the oldest answer has been kept, None when there is none."""
        with unavailable(self.client):
            oldest = cast("list[Any]", self.client.zrange(ANSWERS(self.namespace), 0, 0, withscores=True))
            # A score that is no time of ours is one of the first moment.
            kept_since = oldest[0][1] if oldest and math.isfinite(oldest[0][1]) else 0
            return self.client.time()[0] - int(kept_since) if oldest else None

    def drop(self, job_keys: Sequence[str]) -> int:
        """Forget the answers of these jobs; return how many there were."""
        if not job_keys:
            return 0
        with unavailable(self.client):
            pipe = self.client.pipeline()
            pipe.delete(*(raw_name(ANSWER(self.namespace, each)) for each in job_keys))
            pipe.zrem(ANSWERS(self.namespace), *map(raw_name, job_keys))
            return int(pipe.execute()[0])

    def drop_all(self) -> int:
        """Forget every answer; return how many there were."""
        dropped = 0
        with unavailable(self.client):
            while keys := cast("list[bytes]", self.client.zrange(ANSWERS(self.namespace), 0, _AT_ONCE - 1)):
                dropped += self.drop([known_name(each) for each in keys])
        return dropped
