"""Keeps in Redis who works on a job, and the ledger of attempts without an outcome."""

from worker.adapters.redis.jobs.liveness import LOST
from worker.adapters.redis.keys import LEDGER
from worker.adapters.redis.scripts import LuaScript

# KEYS: the claim, the stored answer, and those of LOST. An answer comes first: it needs no claim. A claim is
# free when it has no holder, or when its holder is lost: a killed worker must not keep its jobs from those
# who take them over. The one who asks is alive. A claim lasts as long as its worker, which gives it back: if
# it were shorter, an answer in the worker's hands would be paid for twice after a Redis that was frozen for
# that long.
CLAIM_SCRIPT = LuaScript(
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
# Needs `claim`, the `ledger` of the job's attempts, and `released`, the channel.
CLAIMS = f"""
local function is_held(holder) return holder ~= '' and redis.call('GET', claim) == holder end
-- Only for the one that still holds it, or has the answer: who took it over finds that, and asks for none.
-- Whoever waits for it is told, if Redis lets us, and looks again by itself.
local function release(job, holder, concluded, answered)
  if not (is_held(holder) or answered) then return end
  redis.call('DEL', claim)
  if concluded == '1' then redis.call('DEL', ledger) end
  redis.pcall('PUBLISH', released, job)
end
local function attempts()
  local begun = tonumber(redis.call('GET', ledger) or 0)
  if not begun then error('WRONGTYPE ' .. ledger) end
  return begun
end
local function begin_attempt()
  redis.call('INCR', ledger)
  redis.call('EXPIRE', ledger, {LEDGER.seconds})
end
-- Only while that attempt is the last one: asked twice, it takes back one.
local function end_attempt(begun)
  if redis.call('GET', ledger) ~= begun then return end
  if redis.call('DECR', ledger) <= 0 then redis.call('DEL', ledger) end
end
"""
