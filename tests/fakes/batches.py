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

    def command(self, *words):
        reply = super().command(*words)
        reply.add_done_callback(self._note)
        return reply

    def _note(self, reply):
        if not reply.cancelled() and isinstance(reply.exception(), RedisUnavailable):
            self._refused.put_nowait(reply.exception())

    async def refusals(self, number):
        async with asyncio.timeout(30):
            return [await self._refused.get() for _ in range(number)]
