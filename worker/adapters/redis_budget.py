"""Keeps the fleet's spend under its cap: reserve before a call, settle after it, one Lua script each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import StoreUnavailable
from worker.adapters.redis_clients import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis.asyncio

# One hash for each window: `committed` (spent and held, nano-dollars) and one field for each open hold.
# Time is Redis's own, so workers with different clocks share one window. A hold that is never settled
# stays committed: an unknown outcome counts as spent.
_RESERVE = """
local now = tonumber(redis.call('TIME')[1])
local start = now - now % tonumber(ARGV[4])
local window = KEYS[1] .. ':' .. start
if redis.call('HEXISTS', window, 'hold:' .. ARGV[1]) == 1 then return window end
local committed = tonumber(redis.call('HGET', window, 'committed') or '0')
if committed + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return false end
redis.call('HINCRBY', window, 'committed', ARGV[2])
redis.call('HSET', window, 'hold:' .. ARGV[1], ARGV[2])
redis.call('EXPIRE', window, 2 * tonumber(ARGV[4]) + 86400)
return window
"""
_SETTLE = """
local held = redis.call('HGET', KEYS[1], 'hold:' .. ARGV[1])
if not held then return 0 end
redis.call('HINCRBY', KEYS[1], 'committed', tonumber(ARGV[2]) - tonumber(held))
redis.call('HDEL', KEYS[1], 'hold:' .. ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class RedisBudget:
    """A cap of `cap_nano_usd` for each window of `window_seconds`, shared by every worker."""

    client: redis.asyncio.Redis
    namespace: str
    cap_nano_usd: int
    window_seconds: int
    count_denied: Callable[[], None]
    # In which window each open hold of this process was made: it settles there, however late.
    _windows: dict[str, str]

    async def reserve(self, hold_id: str, amount_nano_usd: int) -> bool:
        """Hold the amount; False when the cap does not cover it. Raises StoreUnavailable."""
        arguments: list[str | int] = [hold_id, amount_nano_usd, self.cap_nano_usd, self.window_seconds]
        try:
            window = await self.client.eval(_RESERVE, 1, f"{self.namespace}:budget", *arguments)
        except (RedisError, OSError):
            raise StoreUnavailable from None
        if window is None:
            self.count_denied()
            return False
        self._windows[hold_id] = window.decode()
        return True

    async def settle(self, hold_id: str, spent_nano_usd: int) -> None:
        """Replace the hold by what was spent. When Redis cannot be asked, the hold stays: that is spent."""
        window = self._windows.pop(hold_id, None)
        if window is None:
            return
        try:
            await self.client.eval(_SETTLE, 1, window, hold_id, spent_nano_usd)
        except (RedisError, OSError):
            return


class NoCap:
    """The budget of a deployment that set none: everything fits."""

    async def reserve(self, hold_id: str, amount_nano_usd: int) -> bool:
        """Allow every call."""
        del hold_id, amount_nano_usd
        return True

    async def settle(self, hold_id: str, spent_nano_usd: int) -> None:
        """Keep no account."""
