"""Keeps in Redis what servers have answered any worker: wait until then, or do not come back."""

from tasks.errors import ErrorCode
from worker.adapters.redis.keys import BREAKER

# Needs `cooldown`, the key of the model's, which lives as long as it holds; `breaker`; and `probe`, the lease
# of the one request that may leave while it is open.
LIMITS = f"""
-- Longer than the longest is one of before Redis's clock went back, or somebody else's.
local function cooldown_ms(longest)
  local wait = redis.call('PTTL', cooldown)
  if wait == -1 or wait > tonumber(longest) then
    redis.call('PEXPIRE', cooldown, longest)
    wait = tonumber(longest)
  end
  return wait
end
local function cool_down(ms)
  if redis.call('PTTL', cooldown) < tonumber(ms) then
    redis.call('SET', cooldown, redis.call('TIME')[1], 'PX', ms)
  end
end
local function open_breaker(code, probe_ms)
  redis.call('SET', breaker, code, 'EX', {BREAKER.seconds})
  redis.call('SET', probe, '1', 'PX', probe_ms)
end
local function close_breaker() redis.call('DEL', breaker, probe) end
"""


def refusal(text: str) -> ErrorCode:
    """Return the errorCode that the breaker has."""
    try:
        return ErrorCode(text)
    except ValueError:
        # Somebody wrote to it by hand: an unknown refusal is a refusal.
        return ErrorCode.OPENAI_AUTH_ERROR
