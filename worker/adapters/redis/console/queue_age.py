"""Says how long the oldest message has been waiting, though no message says when it was sent.

Every few seconds a worker notes how many messages had ever arrived (taken so far, and still waiting). The
oldest one waiting is number `taken + 1`: it had arrived by the first note that counts so many.
"""

from dataclasses import dataclass
from typing import Any

import redis

from worker.adapters.redis.keys import ARRIVED, TAKEN

# A note every five seconds for 14 hours.
_NOTES_KEPT = 10_000
# Notes are members "arrived" scored by time in seconds. A queue that was emptied by hand counts anew.
_NOTE = f"""
local now = redis.call('TIME')
local arrived = tonumber(redis.call('GET', KEYS[2]) or '0') + redis.call('LLEN', KEYS[1])
local last = redis.call('ZREVRANGE', KEYS[3], 0, 0)[1]
if last and arrived < tonumber(last) then redis.call('DEL', KEYS[3]) end
redis.call('ZADD', KEYS[3], 'NX', now[1] + now[2] / 1000000, string.format('%.0f', arrived))
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -{_NOTES_KEPT + 1})
"""
_OLDEST = """
if redis.call('LLEN', KEYS[1]) == 0 then return '0' end
local number = tonumber(redis.call('GET', KEYS[2]) or '0') + 1
local notes = redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
local low, high = 1, #notes / 2
while low < high do
  local middle = math.floor((low + high) / 2)
  if tonumber(notes[2 * middle - 1]) >= number then high = middle else low = middle + 1 end
end
if #notes == 0 or tonumber(notes[2 * low - 1]) < number then return false end
local now = redis.call('TIME')
return tostring(now[1] + now[2] / 1000000 - tonumber(notes[2 * low]))
"""


@dataclass(frozen=True, slots=True)
class RedisQueueAge:
    """The notes of one queue: `<queue>:arrived`, beside the count of what was taken, `<queue>:taken`."""

    client: redis.Redis
    queue: str

    def note(self) -> None:
        """Note how many messages have arrived so far. Raises RedisError."""
        self.client.eval(_NOTE, 3, *self._keys)

    def oldest_seconds(self) -> float | None:
        """Return for how long the oldest message has waited at the least; 0 for an empty queue.

        None while it has arrived after the last note. Raises RedisError.
        """
        found: Any = self.client.eval(_OLDEST, 3, *self._keys)
        return None if found is None else float(found)

    @property
    def _keys(self) -> tuple[str, str, str]:
        return self.queue, TAKEN(self.queue), ARRIVED(self.queue)
