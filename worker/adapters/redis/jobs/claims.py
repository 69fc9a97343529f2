"""Keeps in Redis who works on a job, and the ledger of attempts that have no outcome yet."""

import contextlib
from dataclasses import dataclass

from tasks.errors import StoreUnavailable
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.keys import CLAIM, LEDGER, WORKERS
from worker.adapters.redis.scripts import LuaScript

# A claim is free when it has no holder, or when its holder has sent no heartbeat for too long (by Redis's
# clock): a killed worker must not keep its jobs from those who take them over. The one who asks lives,
# however old its last sign is: when Redis has just come back, its own jobs are still in flight.
_ACQUIRE = LuaScript("""
local holder = redis.call('GET', KEYS[1])
if holder then
  local worker = string.match(holder, '^[^:]+')
  if worker == string.match(ARGV[1], '^[^:]+') then return 0 end
  local seen = redis.call('ZSCORE', KEYS[2], worker)
  if seen and tonumber(redis.call('TIME')[1]) - tonumber(seen) <= tonumber(ARGV[3]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
# Only for the worker that still holds the claim.
_RELEASE = LuaScript("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '1' then redis.call('DEL', KEYS[2]) end
return 1
""")
_BEGIN_ATTEMPT = LuaScript("""
local begun = redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return begun
""")
_END_ATTEMPT = LuaScript("if redis.call('DECR', KEYS[1]) <= 0 then redis.call('DEL', KEYS[1]) end")


@dataclass(frozen=True, slots=True)
class RedisClaims:
    """The claims of one namespace; `worker_id` is the one under which this process sends its heartbeats."""

    redis: RedisBatches
    namespace: str
    worker_id: str
    worker_lost_seconds: int

    async def acquire(self, key: str, token: str, seconds: float) -> bool:
        """Claim the job for `seconds`; False while a living worker holds it. Raises StoreUnavailable."""
        keys = [CLAIM(self.namespace, key), WORKERS(self.namespace)]
        arguments: list[str | int] = [self._held_by(token), int(seconds * 1000), self.worker_lost_seconds]
        return bool(await self.redis.run(_ACQUIRE, keys, *arguments))

    async def release(self, key: str, token: str, *, concluded: bool) -> None:
        """Give the claim back, and the attempts of a `concluded` job with it.

        When Redis cannot be asked, the claim runs out by itself.
        """
        with contextlib.suppress(StoreUnavailable):
            keys = [CLAIM(self.namespace, key), LEDGER(self.namespace, key)]
            await self.redis.run(_RELEASE, keys, self._held_by(token), int(concluded))

    async def end_attempt(self, key: str) -> None:
        """Take one attempt back; when Redis cannot be asked, it counts on."""
        with contextlib.suppress(StoreUnavailable):
            await self.redis.run(_END_ATTEMPT, [LEDGER(self.namespace, key)])

    async def begin_attempt(self, key: str) -> int:
        """Count an attempt before it leaves. Raises StoreUnavailable when it could not be written."""
        return int(await self.redis.run(_BEGIN_ATTEMPT, [LEDGER(self.namespace, key)], LEDGER.seconds))

    def _held_by(self, token: str) -> str:
        return f"{self.worker_id}:{token}"
