"""Says how long the oldest message has been waiting, though no message says when it was sent.

With their heartbeats the workers note how many messages had ever arrived: taken so far, and still waiting.
The oldest one that waits is number `taken + 1`, and had arrived by the first note that counts so many. A
message's own time would need its producer to write it, and Redis does not know when it was pushed.

It has waited for at least what is said, and for no more than the time between two heartbeats (2 s at the
least) beyond that. Of a backlog of more than 10,000 notes (5 hours or more) the oldest are forgotten.
"""

from dataclasses import dataclass
from typing import Any

import redis

from worker.adapters.redis.keys import ARRIVED, TAKEN
from worker.adapters.redis.scripts import LuaScript
from worker.adapters.redis.waiting import lists

# However many workers there are, and sooner than each one's next heartbeat.
_SECONDS_APART = 2
# What is no number of ours counts as none: these notes are for a figure alone.
_WAITING = """
local function number(raw)
  local found = tonumber(raw or '')
  return found and math.abs(found) < 1e15 and found or 0
end
local waiting = 0
for n = 3, #KEYS do waiting = waiting + redis.call('LLEN', KEYS[n]) end
"""
# KEYS: how many were taken, the notes (times in seconds, scored by what had arrived by then), the lists.
# A note goes with the last message that it counts. A queue that was emptied by hand counts anew.
_NOTE = LuaScript(f"""{_WAITING}
local taken = number(redis.call('GET', KEYS[1]))
local arrived = taken + waiting
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', taken)
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if last[1] then
  if arrived < tonumber(last[2]) then redis.call('DEL', KEYS[2])
  elseif arrived == tonumber(last[2]) or now - number(last[1]) < {_SECONDS_APART} then return end
end
if arrived > taken then redis.call('ZADD', KEYS[2], arrived, string.format('%.6f', now)) end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - {ARRIVED.kept})
""")
_OLDEST = LuaScript(f"""{_WAITING}
if waiting == 0 then return '0' end
local next = number(redis.call('GET', KEYS[1])) + 1
local note = number(redis.call('ZRANGEBYSCORE', KEYS[2], next, '+inf', 'LIMIT', 0, 1)[1])
if note == 0 then return false end
local clock = redis.call('TIME')
return tostring(clock[1] + clock[2] / 1000000 - note)
""")


@dataclass(frozen=True, slots=True)
class RedisQueueAge:
    """The notes of one queue."""

    client: redis.Redis
    queue: str

    def note(self) -> None:
        """Note how many messages have arrived so far. Raises RedisError."""
        _NOTE.run(self.client, self._keys)

    def oldest_seconds(self) -> float | None:
        """Return for how long the oldest message has waited at the least; 0 for an empty queue.

        None while it has arrived after the last note. Raises RedisError.
        """
        found: Any = _OLDEST.run(self.client, self._keys)
        return None if found is None else float(found)

    @property
    def _keys(self) -> tuple[str, ...]:
        return TAKEN(self.queue), ARRIVED(self.queue), *lists(self.queue)
