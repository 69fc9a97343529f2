"""Keeps in Redis what servers have answered any worker: wait until then, or do not come back."""

from dataclasses import dataclass

from tasks.errors import ErrorCode
from tasks.ports import RateLimitState
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.keys import BREAKER, BREAKER_PROBE, COOLDOWN
from worker.adapters.redis.scripts import LuaScript
from worker.settings.settings import COOLDOWN_SECONDS

# KEYS: the model's cooldown, the breaker, the lease of its probe. A cooldown's key lives as long as it holds:
# longer than the longest where Redis's clock has gone back, or somebody else has set it.
_PERMIT = LuaScript("""
local wait, longest = redis.call('PTTL', KEYS[1]), tonumber(ARGV[2])
if wait == -1 or wait > longest then
  redis.call('PEXPIRE', KEYS[1], longest)
  wait = longest
end
local code = redis.call('GET', KEYS[2])
if not code then return {wait, '', 0} end
local probe = redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
return {wait, code, probe}
""")
_COOL_DOWN = LuaScript("""
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], redis.call('TIME')[1], 'PX', ARGV[1])
end
""")
_OPEN = LuaScript("""
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
""")
_CLOSE = LuaScript("redis.call('DEL', KEYS[1], KEYS[2])")


@dataclass(frozen=True, slots=True)
class RedisRateLimits:
    """The limits of one namespace; one probe leaves in `probe_seconds` while the breaker is open.

    A cooldown that would hold for more than `longest_seconds` is cut to that.
    """

    redis: RedisBatches
    namespace: str
    probe_seconds: float
    longest_seconds: float = COOLDOWN_SECONDS

    async def state(self, model: str) -> RateLimitState:
        """Return what holds for a request to `model` now. Raises StoreUnavailable."""
        keys = [COOLDOWN(self.namespace, model), *self._breaker]
        wait_ms, code, probe = await self.redis.run(_PERMIT, keys, self._probe_ms, self._longest_ms)
        return RateLimitState(max(wait_ms, 0) / 1000, _code(code.decode(errors="replace")), bool(probe))

    async def cool_down(self, model: str, seconds: float) -> None:
        """Let no request to `model` leave for `seconds`."""
        await self.redis.run_patiently(
            _COOL_DOWN, [COOLDOWN(self.namespace, model)], max(1, int(seconds * 1000))
        )

    async def open_breaker(self, code: ErrorCode) -> None:
        """Let no request leave but a probe now and then."""
        await self.redis.run_patiently(_OPEN, self._breaker, code.value, BREAKER.seconds, self._probe_ms)

    async def close_breaker(self) -> None:
        """Let requests leave again."""
        await self.redis.run_patiently(_CLOSE, self._breaker)

    @property
    def _breaker(self) -> list[str]:
        """Return the keys of the breaker and of the lease of its probe."""
        return [BREAKER(self.namespace), BREAKER_PROBE(self.namespace)]

    @property
    def _longest_ms(self) -> int:
        return int(self.longest_seconds * 1000)

    @property
    def _probe_ms(self) -> int:
        return int(self.probe_seconds * 1000)


def _code(text: str) -> ErrorCode | None:
    if not text:
        return None
    try:
        return ErrorCode(text)
    except ValueError:
        # Somebody wrote to it by hand: an unknown refusal is a refusal.
        return ErrorCode.OPENAI_AUTH_ERROR
