"""Judges the fleet's latest outcomes in Redis, and halts there, in one script.

There is no leader to lose: whichever worker brings the outcome that breaches a rule, the same numbers decide,
and the kill switch is on before the script ends. `<namespace>:guard` has the latest outcomes, newest first.
"""

from dataclasses import dataclass

from tasks.limits.guard import GuardFinding, GuardMode, GuardRules, GuardVerdict, JobResult
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import user_of
from worker.adapters.redis.dial_lua import RELEASES
from worker.adapters.redis.keys import AUDIT_NOTICED, AUDIT_SEEN, GUARD, GUARD_SPENT, KILL
from worker.adapters.redis.scripts import LuaScript

ACTOR = "guard"
# KEYS: the kill dial, the latest outcomes, the spend of a minute without its number (of Redis's clock), what
# was noticed, and the values that it accounts for.
# Outcomes count while the kill switch is off only, and a breach forgets them all: after the release the fleet
# is judged by what it does from then on.
_OBSERVE = LuaScript(
    RELEASES
    + f"local NOTICED_KEPT, SPENT_SECONDS = {AUDIT_NOTICED.kept}, {GUARD_SPENT.seconds}"
    + """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local kill = redis.call('MGET', KEYS[1])[1]
if not releases(kill) then return {'no data', '', 0} end
local mark, cost, mode, cause = ARGV[1], ARGV[2], ARGV[3], ARGV[13]
local window_ms, sample, minimum = tonumber(ARGV[4]) * 1000, tonumber(ARGV[5]), tonumber(ARGV[6])
local minute = KEYS[3] .. string.format('%.0f', math.floor(clock[1] / 60))
local spent = redis.pcall('INCRBY', minute, cost)
-- What somebody else has put there is no sum; the outcome counts all the same.
if type(spent) == 'table' then spent = 0 end
redis.call('EXPIRE', minute, SPENT_SECONDS)
redis.call('LPUSH', KEYS[2], now_ms .. ' ' .. mark .. ' ' .. cause)
redis.call('LTRIM', KEYS[2], 0, sample - 1)
redis.call('PEXPIRE', KEYS[2], math.ceil(window_ms))
local n, held, causes = 0, {F = 0, S = 0, L = 0, U = 0, I = 0}, {F = {}, S = {}, L = {}, U = {}, I = {}}
for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
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
elseif held.I > tonumber(ARGV[10]) then why = of('I', 'with an invalid event') .. '; at most ' .. ARGV[10]
elseif spent > tonumber(ARGV[9]) then
  why = string.format('%.2f USD were spent in a minute, at most %.2f', spent / 1e9, tonumber(ARGV[9]) / 1e9)
elseif share('S', ARGV[8]) then why = of('S', 'unusable') .. '; at most ' .. ARGV[8]
elseif share('F', ARGV[7]) then why = of('F', 'FAILED') .. '; at most ' .. ARGV[7]
elseif share('L', 0.05) then why = of('L', 'slower than ' .. ARGV[11] .. ' s') .. '; at most 0.05'
end
if not why then return {n >= minimum and 'healthy' or 'no data', '', 0} end
redis.call('DEL', KEYS[2], minute)
if mode ~= 'halt' then return {'breach', why, 0} end
local entry = {'dial', 'kill', 'before', kill, 'actor', ARGV[12], 'command', 'auto-halt', 'reason', why,
               'redis_user', ARGV[14]}
local set = redis.pcall('SET', KEYS[1], 'true')
if type(set) == 'table' and set.err then
  -- A role that may only engage has no SET, and a full Redis takes none; an absent key halts as well.
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[5], 'kill')
else
  entry[#entry + 1] = 'after'; entry[#entry + 1] = 'true'
  redis.call('HSET', KEYS[5], 'kill', 'true')
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', NOTICED_KEPT, '*', unpack(entry))
return {'breach', why, 1}
"""
)


@dataclass(frozen=True, slots=True)
class RedisGuard:
    """The guard of one namespace by the `rules` of this worker's executor config."""

    redis: RedisBatches
    namespace: str
    rules: GuardRules

    async def observe(self, marked: frozenset[JobResult], cost_nano_usd: int, cause: str) -> GuardFinding:
        """Count one outcome, judge, and halt on a breach. Raises StoreUnavailable."""
        if self.rules.mode is GuardMode.OFF:
            return GuardFinding(GuardVerdict.NO_DATA)
        ns, rules = self.namespace, self.rules
        verdict, reason, tripped = await self.redis.run(
            _OBSERVE,
            [KILL(ns), GUARD(ns), GUARD_SPENT(ns, ""), AUDIT_NOTICED(ns), AUDIT_SEEN(ns)],
            "".join(sorted(marked)),
            cost_nano_usd,
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
            cause,
            user_of(self.redis.client),
        )
        return GuardFinding(GuardVerdict(verdict.decode()), reason.decode(), bool(tripped))
