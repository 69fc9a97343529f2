"""Keeps the fleet's spend under its cap: money is held before a request, and settled after it.

The account of a window has `spent`, `held` and `written_off` nano-dollars, and the same for each model. A
hold that is not settled before it runs out is written off, which counts as spent. Time is Redis's own, so
that workers with different clocks share one window. What a worker settles is also summed for the allowlist's
rule that admitted the job, as long as the account has room for rules.
"""

from worker.adapters.redis.dial_lua import CAP
from worker.adapters.redis.keys import BUDGET

_EXPIRED_AT_ONCE = 100
# Longer than any reservation is made for: what runs out later was made before Redis's clock went back.
_LONGEST_HOLD_MS = 86_400_000
# Needs `accounts`, the key of an account without its start; `holds` and their `expiry`; `cap_dial`; and the
# time, `clock` and `now_ms`.
ACCOUNT = f"""{CAP}
local function account(start) return accounts .. start end
local function window_of(seconds) return string.format('%.0f', clock[1] - clock[1] % seconds) end
local function is_sum(raw) return string.match(raw, '^%-?%d+$') and #raw < 19 end
-- Before anything is written: an account that cannot be kept is none, and lets no request leave.
local function must_be_kept(start, what, model, rule)
  local fields = {{what, what .. ':' .. model, 'rule:' .. (rule or '')}}
  for _, raw in ipairs(redis.call('HMGET', account(start), unpack(fields))) do
    if raw and not is_sum(raw) then error('WRONGTYPE ' .. account(start)) end
  end
end
local function add(start, what, model, amount)
  redis.call('HINCRBY', account(start), what, amount)
  redis.call('HINCRBY', account(start), what .. ':' .. model, amount)
  -- A hold may outlive the account that it began in, which is then begun again.
  if redis.call('TTL', account(start)) < 0 then redis.call('EXPIRE', account(start), 86400) end
end
local function add_to_rule(start, rule, amount)
  local sum = redis.call('HINCRBY', account(start), 'rule:' .. rule, amount)
  if sum == tonumber(amount) and redis.call('HLEN', account(start)) > {BUDGET.kept} then
    redis.call('HDEL', account(start), 'rule:' .. rule)
  end
end
local function settle(id, what, spent, rule)
  local kept = redis.call('HGET', holds, id)
  local start, amount, model = string.match(kept or '', '^(%d+) (%d+) (.*)$')
  if start then
    spent = spent or amount
    must_be_kept(start, what, model, rule)
    must_be_kept(start, 'held', model)
    if tonumber(spent) > 0 then add(start, what, model, spent) end
    if tonumber(spent) > 0 and rule and rule ~= '' then add_to_rule(start, rule, spent) end
    add(start, 'held', model, '-' .. amount)
    redis.call('HDEL', holds, id)
  end
  redis.call('ZREM', expiry, id)
  return start ~= nil
end
local function write_off_expired()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', now_ms, 'LIMIT', 0, {_EXPIRED_AT_ONCE})) do
    settle(id, 'written_off')
  end
  local latest_ms = now_ms + {_LONGEST_HOLD_MS}
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', expiry, '+inf', latest_ms + 1, 'LIMIT', 0, 100)) do
    redis.call('ZADD', expiry, latest_ms, id)
  end
end
local function strictest(given)
  local cap, dial = tonumber(given), redis.call('MGET', cap_dial)[1]
  if redis.call('EXISTS', cap_dial) == 0 then return cap end
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
-- The cap is -1 for none. A dial that is no number of dollars denies: an unknown cap is not a wide one.
local function is_covered(start, cap, amount)
  local capped = redis.call('EXISTS', cap_dial) == 1 or tonumber(cap) >= 0
  return not capped or total(start) + tonumber(amount) <= strictest(cap)
end
local function reserve(start, id, amount, model, window, hold_ms)
  must_be_kept(start, 'held', model)
  add(start, 'held', model, amount)
  redis.call('HSET', holds, id, start .. ' ' .. amount .. ' ' .. model)
  redis.call('ZADD', expiry, now_ms + tonumber(hold_ms), id)
  redis.call('EXPIRE', account(start), 2 * tonumber(window) + 86400)
end
"""
