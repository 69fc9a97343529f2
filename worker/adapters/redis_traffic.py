"""Keeps in Redis what the servers have told any worker: wait until then, or do not come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.errors import ErrorCode, StoreUnavailable
from tasks.ports import Permit
from worker.adapters.redis_clients import RedisError

if TYPE_CHECKING:
    import redis.asyncio
    from redis.commands.core import AsyncScript

# KEYS: the model's cooldown, the breaker, the lease of its probe. A cooldown's key lives as long as it holds.
_PERMIT = """
local wait = redis.call('PTTL', KEYS[1])
local code = redis.call('GET', KEYS[2])
if not code then return {wait, '', 0} end
local probe = redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
return {wait, code, probe}
"""
_COOL_DOWN = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
"""
# A breaker that nobody asks about any more ends by itself.
_BREAKER_SECONDS = 86_400


@dataclass(slots=True)
class RedisTraffic:
    """Cooldowns are `<namespace>:cooldown:<model>`, the breaker is `<namespace>:breaker`.

    One probe leaves in `probe_seconds` while the breaker is open.
    """

    client: redis.asyncio.Redis
    namespace: str
    probe_seconds: float
    _permit: AsyncScript = field(init=False)
    _cool: AsyncScript = field(init=False)

    def __post_init__(self) -> None:
        self._permit = self.client.register_script(_PERMIT)
        self._cool = self.client.register_script(_COOL_DOWN)

    async def permit(self, model: str) -> Permit:
        """Return what holds for a request to `model` now. Raises StoreUnavailable."""
        keys = [self._cooldown(model), self._breaker, f"{self._breaker}:probe"]
        wait_ms, code, probe = await self._run(self._permit, keys, [int(self.probe_seconds * 1000)])
        return Permit(max(wait_ms, 0) / 1000, _code(code.decode()), bool(probe))

    async def cool_down(self, model: str, seconds: float) -> None:
        """Let no request to `model` leave for `seconds`. Raises StoreUnavailable."""
        await self._run(self._cool, [self._cooldown(model)], [max(1, int(seconds * 1000))])

    async def open_breaker(self, code: ErrorCode) -> None:
        """Let no request leave but a probe now and then. Raises StoreUnavailable."""
        try:
            async with self.client.pipeline() as pipe:
                pipe.set(self._breaker, code.value, ex=_BREAKER_SECONDS)
                pipe.set(f"{self._breaker}:probe", "1", px=int(self.probe_seconds * 1000))
                await pipe.execute()
        except (RedisError, OSError):
            raise StoreUnavailable from None

    async def close_breaker(self) -> None:
        """Let requests leave again. Raises StoreUnavailable."""
        try:
            await self.client.delete(self._breaker, f"{self._breaker}:probe")
        except (RedisError, OSError):
            raise StoreUnavailable from None

    async def _run(self, script: AsyncScript, keys: list[str], arguments: list[int]) -> Any:
        try:
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError):
            raise StoreUnavailable from None

    def _cooldown(self, model: str) -> str:
        return f"{self.namespace}:cooldown:{model}"

    @property
    def _breaker(self) -> str:
        return f"{self.namespace}:breaker"


def _code(text: str) -> ErrorCode | None:
    if not text:
        return None
    try:
        return ErrorCode(text)
    except ValueError:
        # Somebody wrote to it by hand: a refusal nobody knows is a refusal.
        return ErrorCode.OPENAI_AUTH_ERROR
