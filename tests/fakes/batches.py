"""Redis as the stores ask it, which also lets a test await what Redis refuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.errors import RedisUnavailable


@dataclass
class NotedBatches(RedisBatches):
    """The real ones, which also say when Redis has refused a script or was away."""

    _refused: asyncio.Queue[Exception] = field(default_factory=asyncio.Queue)

    async def run(self, *arguments):
        try:
            return await super().run(*arguments)
        except RedisUnavailable as error:
            self._refused.put_nowait(error)
            raise

    async def refusals(self, number):
        async with asyncio.timeout(30):
            return [await self._refused.get() for _ in range(number)]
