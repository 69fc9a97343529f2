"""Keeps in Redis who works on a job, and the ledger of attempts that have no outcome yet."""

from dataclasses import dataclass

from tasks.ports import Claim
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.errors import Cause, RedisUnavailable
from worker.adapters.redis.jobs.liveness import LOST
from worker.adapters.redis.keys import ANSWER, CLAIM, LEDGER, WORKERS, WORKERS_RESUMED
from worker.adapters.redis.scripts import LuaScript
from worker.adapters.redis.wrong_keys import read_json

# KEYS: the claim, the stored answer, and those of LOST. An answer comes first: it needs no claim. A claim is
# free when it has no holder, or when its holder is lost: a killed worker must not keep its jobs from those
# who take them over. The one who asks lives. A claim lives as long as its worker, which gives it back: for
# less, the answer in its hands would be paid for twice after a Redis that was frozen for as long.
_CLAIM = LuaScript(
    LOST
    + """
local stored = redis.call('GET', KEYS[2])
if stored and stored ~= ARGV[2] then return {0, stored} end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  local worker = string.match(holder, '^[^:]*')
  local mine = worker == string.match(ARGV[1], '^[^:]+')
  if mine or not lost(KEYS[3], KEYS[4], worker, ARGV[4]) then return {0, ''} end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return {1, ''}
"""
)
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
# Only while that attempt is the last one: asked twice, it takes back one.
_END_ATTEMPT = LuaScript("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
if redis.call('DECR', KEYS[1]) <= 0 then redis.call('DEL', KEYS[1]) end
""")


@dataclass(frozen=True, slots=True)
class RedisClaims:
    """The claims of one namespace; `worker_id` is the one under which this process sends its heartbeats."""

    redis: RedisBatches
    namespace: str
    worker_id: str
    worker_lost_seconds: int

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        """Claim the job, unless it has an answer (but `despite`) or a living worker has it.

        Raises StoreUnavailable when Redis does not say, or has an answer that is no JSON.
        """
        ns = self.namespace
        keys = [CLAIM(ns, key), ANSWER(ns, key), WORKERS(ns), WORKERS_RESUMED(ns)]
        arguments = [self._held_by(token), despite, CLAIM.seconds, self.worker_lost_seconds]
        try:
            ours, stored = await self.redis.run(_CLAIM, keys, *arguments)
        except RedisUnavailable as error:
            if error.cause is not Cause.AWAY:
                raise
            # Closed while it was idle, most often: no reason to send a job back. Claimed twice is once.
            ours, stored = await self.redis.run(_CLAIM, keys, *arguments)
        return Claim(bool(ours), stored, read_json(ANSWER, ANSWER(ns, key), stored) if stored else None)

    async def release(self, key: str, token: str, *, concluded: bool) -> None:
        """Give the claim back, and the attempts of a `concluded` job with it; waits for Redis."""
        keys = [CLAIM(self.namespace, key), LEDGER(self.namespace, key)]
        await self.redis.run_patiently(_RELEASE, keys, self._held_by(token), int(concluded))

    async def end_attempt(self, key: str, begun: int) -> None:
        """Take back the attempt that was number `begun`; waits for Redis, however long."""
        await self.redis.run_patiently(_END_ATTEMPT, [LEDGER(self.namespace, key)], begun)

    async def begin_attempt(self, key: str) -> int:
        """Count an attempt before it leaves. Raises StoreUnavailable when it could not be written."""
        return int(await self.redis.run(_BEGIN_ATTEMPT, [LEDGER(self.namespace, key)], LEDGER.seconds))

    def _held_by(self, token: str) -> str:
        return f"{self.worker_id}:{token}"
