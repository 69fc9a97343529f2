"""Says which workers are alive, by their heartbeats and Redis's clock.

Silence proves something only while Redis takes heartbeats: after it was frozen, away or full, every worker
looks silent, and one that holds a paid answer must not lose its job for that. So the end of each pause
without any heartbeat is noted, and from then on each worker has the full time to be heard. Redis's clock may
jump: forwards, that looks like a pause; heartbeats from the future are taken for ones of this moment.
"""

import redis

from worker.adapters.redis.keys import WORKERS, WORKERS_RESUMED
from worker.adapters.redis.scripts import LuaScript

# A worker beats thrice in the time after which it is lost: longer than half of it without anybody is a pause.
LOST = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function paused(workers, seconds)
  -- Up to now: nobody of ours is heard from the future.
  local latest = redis.call('ZREVRANGEBYSCORE', workers, now, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return not latest or now - latest > seconds / 2
end
local function lost(workers, resumed, worker, seconds)
  local seen = redis.call('ZSCORE', workers, worker)
  if not seen then return true end
  local since = tonumber(redis.call('MGET', resumed)[1] or '')
  -- What is no moment of the past is no end of a pause.
  since = math.max(seen, since and since <= now and since or 0)
  return now - since > tonumber(seconds) and not paused(workers, seconds)
end
"""
# KEYS: the heartbeats, the end of the last pause.
_BEAT = LuaScript(
    LOST
    + """
local ahead = redis.call('ZRANGEBYSCORE', KEYS[1], now + 1, '+inf', 'LIMIT', 0, 1000)
for _, worker in ipairs(ahead) do redis.call('ZADD', KEYS[1], now, worker) end
if #ahead > 0 or paused(KEYS[1], ARGV[1]) then redis.call('SET', KEYS[2], now) end
redis.call('ZADD', KEYS[1], now, ARGV[2])
return math.floor(now * 1000)
"""
)
_FIND_LOST = LuaScript(
    LOST
    + """
local found = {}
-- A thousand of those that are silent for long enough, the latest first: whoever has a worker's
-- password can add a million more.
local silent = redis.call('ZREVRANGEBYSCORE', KEYS[1], now - ARGV[1], '-inf', 'LIMIT', 0, 1000)
for _, worker in ipairs(silent) do
  if worker ~= ARGV[2] and lost(KEYS[1], KEYS[2], worker, ARGV[1]) then found[#found + 1] = worker end
end
return found
"""
)


def beat(client: redis.Redis, namespace: str, worker_id: str, lost_seconds: int) -> int:
    """Note that `worker_id` is alive; return Redis's time in milliseconds. Raises RedisError."""
    return int(_BEAT.run(client, _keys(namespace), lost_seconds, worker_id))


def find_lost(client: redis.Redis, namespace: str, worker_id: str, lost_seconds: int) -> list[str]:
    """Return the lost workers, as seen by `worker_id`, which is alive. Raises RedisError."""
    found = _FIND_LOST.run(client, _keys(namespace), lost_seconds, worker_id)
    # A name that is not UTF-8 is not a worker's.
    return [each.decode() for each in found if each.isascii()]


def _keys(namespace: str) -> list[str]:
    return [WORKERS(namespace), WORKERS_RESUMED(namespace)]
