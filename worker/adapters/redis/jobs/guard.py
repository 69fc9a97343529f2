"""Judges the fleet's latest outcomes in Redis, and halts there, in the step that books the outcome.

There is no leader to lose: whichever worker books the outcome that breaches a rule, the same numbers decide,
and the kill switch is on before the script ends. `<namespace>:guard` has the latest outcomes, newest first.
"""

from typing import Any

from tasks.limits.guard import GuardRules, Observation
from worker.adapters.redis.dial_lua import RELEASES
from worker.adapters.redis.keys import AUDIT_NOTICED, GUARD_SPENT

ACTOR = "guard"
# Needs `kill`, the dial; `outcomes`, the latest; `minutes`, the spend of a minute without its number (of
# Redis's clock); `noticed`, and `seen`, the values that it accounts for; and the time, `clock` and `now_ms`.
# Outcomes count only while the kill switch is off, and a breach clears them all: after the release the fleet
# is judged by what it does from then on.
OBSERVE = (
    RELEASES
    + f"local NOTICED_KEPT, SPENT_SECONDS = {AUDIT_NOTICED.kept}, {GUARD_SPENT.seconds}"
    + """
local function observe(mark, cost, cause, mode, window, sample, minimum, max_failed, max_unusable, max_spent,
                       max_invalid, max_latency, actor, redis_user)
  local dial = redis.call('MGET', kill)[1]
  if not releases(dial) then return {'no data', '', 0} end
  local window_ms, sample, minimum = tonumber(window) * 1000, tonumber(sample), tonumber(minimum)
  local minute = minutes .. string.format('%.0f', math.floor(clock[1] / 60))
  local spent = redis.pcall('INCRBY', minute, cost)
  -- What somebody else has put there is no sum; the outcome counts all the same.
  if type(spent) == 'table' then spent = 0 end
  redis.call('EXPIRE', minute, SPENT_SECONDS)
  redis.call('LPUSH', outcomes, now_ms .. ' ' .. mark .. ' ' .. cause)
  redis.call('LTRIM', outcomes, 0, sample - 1)
  redis.call('PEXPIRE', outcomes, math.ceil(window_ms))
  local n, held, causes = 0, {F = 0, S = 0, L = 0, U = 0, I = 0}, {F = {}, S = {}, L = {}, U = {}, I = {}}
  for _, entry in ipairs(redis.call('LRANGE', outcomes, 0, -1)) do
    local at, letters, why = string.match(entry, '^(%d+) ([FSLUI]*) ?(.*)$')
    if at and math.abs(now_ms - tonumber(at)) <= window_ms then
      n = n + 1
      for letter in string.gmatch(letters, '.') do
        held[letter] = held[letter] + 1
        causes[letter][why] = (causes[letter][why] or 0) + 1
      end
    end
  end
  local function of(letter, what)
    local most, times = '', 0
    for why, number in pairs(causes[letter]) do
      if number > times or (number == times and why < most) then most, times = why, number end
    end
    local said = held[letter] .. ' of ' .. n .. ' ' .. what
    if most == '' then return said end
    if times < held[letter] then most = most .. ' (' .. times .. ' of them)' end
    return said .. ': ' .. most
  end
  local function share(letter, most) return n >= minimum and held[letter] > n * tonumber(most) end
  local why
  if held.U > 0 then why = of('U', 'unexpected')
  elseif held.I > tonumber(max_invalid) then
    why = of('I', 'with an invalid event') .. '; at most ' .. max_invalid
  elseif spent > tonumber(max_spent) then
    local sums = '%.2f USD were spent in a minute, at most %.2f'
    why = string.format(sums, spent / 1e9, tonumber(max_spent) / 1e9)
  elseif share('S', max_unusable) then why = of('S', 'unusable') .. '; at most ' .. max_unusable
  elseif share('F', max_failed) then why = of('F', 'FAILED') .. '; at most ' .. max_failed
  elseif share('L', 0.05) then why = of('L', 'slower than ' .. max_latency .. ' s') .. '; at most 0.05'
  end
  if not why then return {n >= minimum and 'healthy' or 'no data', '', 0} end
  redis.call('DEL', outcomes, minute)
  if mode ~= 'halt' then return {'breach', why, 0} end
  local entry = {'dial', 'kill', 'before', dial, 'actor', actor, 'command', 'auto-halt', 'reason', why,
                 'redis_user', redis_user}
  local set = redis.pcall('SET', kill, 'true')
  if type(set) == 'table' and set.err then
    -- A role that may only engage has no SET, and a full Redis takes none; an absent key halts as well.
    redis.call('DEL', kill)
    redis.pcall('HDEL', seen, 'kill')
  else
    entry[#entry + 1] = 'after'; entry[#entry + 1] = 'true'
    redis.pcall('HSET', seen, 'kill', 'true')
  end
  redis.pcall('XADD', noticed, 'MAXLEN', '~', NOTICED_KEPT, '*', unpack(entry))
  return {'breach', why, 1}
end
"""
)


def words(seen: Observation, rules: GuardRules, redis_user: str) -> list[Any]:
    """Return the arguments of `observe`."""
    return [
        "".join(sorted(seen.marked)),
        seen.cost_nano_usd,
        seen.cause,
        rules.mode.value,
        rules.window_seconds,
        rules.sample,
        rules.minimum_sample,
        rules.max_failed_share,
        rules.max_unusable_share,
        int(rules.max_usd_per_minute * 10**9),
        rules.max_invalid_events,
        f"{rules.max_latency_p95_seconds:g}",
        ACTOR,
        redis_user,
    ]
