"""Keeps the fleet's spend under its cap: reserve before a call, settle after it, one Lua script each.

The account of a window has `spent`, `held` and `written_off` nano-dollars, and the same for each model. A
reservation that is not settled before it runs out is written off, which counts as spent. Time is Redis's own,
so that workers with different clocks share one window.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.ports import Reservation
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.dial_lua import CAP
from worker.adapters.redis.keys import BUDGET, BUDGET_CAP, BUDGET_EXPIRY, BUDGET_HOLDS
from worker.adapters.redis.scripts import LuaScript

_EXPIRED_AT_ONCE = 100
# Longer than any reservation is made for: what runs out later was made before Redis's clock went back.
_LONGEST_HOLD_MS = 86_400_000
# KEYS: the account without its start (of Redis's clock), its holds, their expiry, the dial of the cap.
ACCOUNT = f"""{CAP}
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function account(start) return KEYS[1] .. start end
local function window_of(seconds) return string.format('%.0f', clock[1] - clock[1] % seconds) end
local function is_sum(raw) return string.match(raw, '^%-?%d+$') and #raw < 19 end
-- Before anything is written: an account that cannot be kept is none, and lets no request leave.
local function must_be_kept(start, what, model)
  for _, raw in ipairs(redis.call('HMGET', account(start), what, what .. ':' .. model)) do
    if raw and not is_sum(raw) then error('WRONGTYPE ' .. account(start)) end
  end
end
local function add(start, what, model, amount)
  redis.call('HINCRBY', account(start), what, amount)
  redis.call('HINCRBY', account(start), what .. ':' .. model, amount)
  -- A hold may outlive the account that it began in, which is then begun again.
  if redis.call('TTL', account(start)) < 0 then redis.call('EXPIRE', account(start), 86400) end
end
local function settle(id, what, spent)
  local kept = redis.call('HGET', KEYS[2], id)
  local start, amount, model = string.match(kept or '', '^(%d+) (%d+) (.*)$')
  if start then
    spent = spent or amount
    must_be_kept(start, what, model)
    must_be_kept(start, 'held', model)
    if tonumber(spent) > 0 then add(start, what, model, spent) end
    add(start, 'held', model, '-' .. amount)
    redis.call('HDEL', KEYS[2], id)
  end
  redis.call('ZREM', KEYS[3], id)
  return start and 1 or 0
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms, 'LIMIT', 0, {_EXPIRED_AT_ONCE})) do
  settle(id, 'written_off')
end
local latest_ms = now_ms + {_LONGEST_HOLD_MS}
for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[3], '+inf', latest_ms + 1, 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[3], latest_ms, id)
end
local function strictest(given)
  local cap, dial = tonumber(given), redis.call('MGET', KEYS[4])[1]
  if redis.call('EXISTS', KEYS[4]) == 0 then return cap end
  local dialled = cap_of(dial)
  return (cap < 0 or dialled < cap) and dialled or cap
end
local function total(start)
  local sums = redis.call('HMGET', account(start), 'spent', 'held', 'written_off')
  local sum = 0
  for n = 1, 3 do
    local each = sums[n] or '0'
    -- An account that cannot be read covers no call.
    sum = sum + (is_sum(each) and tonumber(each) or math.huge)
  end
  return sum
end
"""

# The cap is -1 for none. A dial that is no number of dollars denies: an unknown cap is not a wide one.
_RESERVE = LuaScript(f"""{ACCOUNT}
local id, amount, model, cap, window, hold_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if redis.call('HEXISTS', KEYS[2], id) == 1 then return 1 end
local start = window_of(window)
local capped = redis.call('EXISTS', KEYS[4]) == 1 or tonumber(cap) >= 0
if capped and total(start) + tonumber(amount) > strictest(cap) then return 0 end
must_be_kept(start, 'held', model)
add(start, 'held', model, amount)
redis.call('HSET', KEYS[2], id, start .. ' ' .. amount .. ' ' .. model)
redis.call('ZADD', KEYS[3], now_ms + tonumber(hold_ms), id)
redis.call('EXPIRE', account(start), 2 * tonumber(window) + 86400)
return 1
""")
_SETTLE = LuaScript(f"""{ACCOUNT}
return settle(ARGV[1], ARGV[3], ARGV[2])
""")
_STANDING = LuaScript(f"""{ACCOUNT}
return {{strictest(ARGV[1]), total(window_of(ARGV[2]))}}
""")


@dataclass(frozen=True, slots=True)
class RedisBudget:
    """The account of the fleet. `cap_nano_usd` is this deployment's cap for each window, None for none."""

    redis: RedisBatches
    namespace: str
    cap_nano_usd: int | None
    window_seconds: int
    count_denied: Callable[[], None]

    async def reserve(self, reservation: Reservation) -> bool:
        """Hold the amount; False when the cap does not cover it. Raises StoreUnavailable."""
        arguments = [
            reservation.reservation_id,
            reservation.amount_nano_usd,
            reservation.model,
            self._cap,
            self.window_seconds,
            int(reservation.seconds * 1000),
        ]
        granted = bool(await self.redis.run(_RESERVE, self._keys, *arguments))
        if not granted:
            self.count_denied()
        return granted

    async def standing(self) -> tuple[int, int]:
        """Return the cap in force, and what is used of it in this window. Raises StoreUnavailable."""
        cap, used = await self.redis.run(_STANDING, self._keys, self._cap, self.window_seconds)
        return int(cap), int(used)

    async def settle(self, reservation_id: str, spent_nano_usd: int, *, known: bool) -> None:
        """Replace the hold by what was spent. What Redis refuses for good runs out: that is spent, too."""
        what = "spent" if known else "written_off"
        await self.redis.run_patiently(_SETTLE, self._keys, reservation_id, spent_nano_usd, what)

    @property
    def _cap(self) -> int:
        return -1 if self.cap_nano_usd is None else self.cap_nano_usd

    @property
    def _keys(self) -> list[str]:
        """Return the KEYS of every script that begins with `ACCOUNT`."""
        ns = self.namespace
        return [BUDGET(ns, ""), BUDGET_HOLDS(ns), BUDGET_EXPIRY(ns), BUDGET_CAP(ns)]
