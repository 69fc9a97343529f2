"""Keeps completed answers in Redis, under the hash of the job that they answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.adapters.redis_clients import RedisError

if TYPE_CHECKING:
    import redis.asyncio


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
        """Keep `value` for the time to live; return whether Redis has it."""
        try:
            await self.client.set(self._key(key), json.dumps(value), ex=self.ttl_seconds)
        except (RedisError, OSError):
            return False
        return True

    def _key(self, key: str) -> str:
        return f"{self.namespace}:answer:{key}"
