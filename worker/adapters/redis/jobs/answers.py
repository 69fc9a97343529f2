"""Keeps completed answers in Redis, under the hash of the job that they answer."""

import json
from dataclasses import dataclass
from typing import Any

from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.keys import ANSWER, ANSWERS
from worker.adapters.redis.scripts import LuaScript

# KEYS: the answer, the index of all. Beyond the bound the oldest go, some at a time, however many there are;
# only the index knows which, so that their keys are built here, of the prefix in ARGV[5].
_PUT = LuaScript("""
local now = redis.call('TIME')[1]
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[2]))
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], math.min(over, 10))
  for i = 1, #oldest, 2 do redis.call('DEL', ARGV[5] .. oldest[i]) end
end
return 1
""")


@dataclass(frozen=True, slots=True)
class RedisAnswers:
    """Answers live `ttl_seconds`, the newest `kept` of them; a claim finds them (claims.py)."""

    redis: RedisBatches
    namespace: str
    ttl_seconds: int
    kept: int = 100_000

    async def put(self, key: str, value: Any) -> bool:
        """Keep `value` for the time to live; wait for a Redis that is away or full, for it is paid for.

        Returns False when Redis refuses it for good.
        """
        keys = [ANSWER(self.namespace, key), ANSWERS(self.namespace)]
        arguments = [json.dumps(value), self.ttl_seconds, key, self.kept, ANSWER(self.namespace, "")]
        return await self.redis.run_patiently(_PUT, keys, *arguments) is not None
