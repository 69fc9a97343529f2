"""Keeps completed answers in Redis, under the hash of the job that they answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from worker.adapters.redis_clients import RedisError

if TYPE_CHECKING:
    import redis.asyncio

_PASSING = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError, OSError)


@dataclass(frozen=True, slots=True)
class RedisAnswers:
    """Answers live `ttl_seconds`; an unreadable one is a miss."""

    client: redis.asyncio.Redis
    namespace: str
    ttl_seconds: int

    async def get(self, key: str) -> Any | None:
        """Return the stored value, or None when there is none or it cannot be read."""
        try:
            stored = await self.client.get(self._key(key))
            return None if stored is None else json.loads(stored)
        except (RedisError, OSError, ValueError):
            return None

    async def put(self, key: str, value: Any) -> bool:
        """Keep `value` for the time to live; wait for a Redis that is away or full, for it is paid for.

        Returns False when Redis refuses it for good.
        """
        patiently = AsyncRetrying(
            retry=retry_if_exception_type(_PASSING),
            wait=wait_exponential_jitter(multiplier=0.05, max=1.0),
            reraise=True,
        )
        try:
            await patiently(self._set, key, json.dumps(value))
        except RedisError:
            return False
        return True

    async def _set(self, key: str, text: str) -> None:
        # A coroutine function, for tenacity awaits nothing else.
        await self.client.set(self._key(key), text, ex=self.ttl_seconds)

    def _key(self, key: str) -> str:
        return f"{self.namespace}:answer:{key}"
