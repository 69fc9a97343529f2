"""The steps of a job that the fleet shares, each one script: what is done together cannot be torn apart."""

import asyncio
import logging
import math
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Self

from tasks.executor_config import ExecutorConfig
from tasks.limits.guard import GuardFinding, GuardRules, GuardVerdict
from tasks.ports import Arrival, Arrived, Claim, Departed, Departure
from telemetry import emit
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import user_of
from worker.adapters.redis.errors import OF_ITS_KEYS
from worker.adapters.redis.jobs import guard
from worker.adapters.redis.jobs.answers import PUT
from worker.adapters.redis.jobs.budget import ACCOUNT
from worker.adapters.redis.jobs.claims import CLAIM_SCRIPT, CLAIMS
from worker.adapters.redis.jobs.rate_limits import LIMITS, refusal
from worker.adapters.redis.jobs.released_claims import ReleasedClaims
from worker.adapters.redis.keys import (
    ANSWER,
    ANSWERS,
    AUDIT_NOTICED,
    AUDIT_SEEN,
    BREAKER,
    BREAKER_PROBE,
    BUDGET,
    BUDGET_CAP,
    BUDGET_EXPIRY,
    BUDGET_HOLDS,
    CLAIM,
    COOLDOWN,
    GUARD,
    GUARD_SPENT,
    KILL,
    LEDGER,
    RELEASED,
    WORKERS,
    WORKERS_RESUMED,
)
from worker.adapters.redis.scripts import LuaScript
from worker.adapters.redis.wrong_keys import read_json
from worker.settings.settings import Settings

_log = logging.getLogger("slotgen.worker")
_TIME = """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""
# What forbids the request comes before anything is written, so that there is nothing to take back.
_DEPART = LuaScript(
    """
local accounts, holds, expiry, cap_dial, cooldown, breaker, probe, ledger, claim, released = unpack(KEYS)
local id, amount, model, cap, window, hold_ms, most, longest_ms, probe_ms, holder, may_probe = unpack(ARGV)
"""
    + _TIME
    + ACCOUNT
    + LIMITS
    + CLAIMS
    + """
write_off_expired()
local refused, begun, start = redis.call('GET', breaker), attempts(), window_of(window)
if redis.call('HEXISTS', holds, id) == 1 then return {'left', begun, refused and 1 or 0} end
if holder ~= '' and not is_held(holder) then return {'unclaimed'} end
local wait = cooldown_ms(longest_ms)
if wait > 0 then return {'wait', wait} end
if refused and (may_probe == '0' or redis.call('EXISTS', probe) == 1) then return {'refused', refused} end
if not is_covered(start, cap, amount) then
  return {'uncovered', strictest(cap), math.min(total(start), 9e15)}
end
if begun >= tonumber(most) then return {'exhausted', begun} end
reserve(start, id, amount, model, window, hold_ms)
begin_attempt()
if refused then redis.call('SET', probe, '1', 'PX', probe_ms) end
return {'left', begun + 1, refused and 1 or 0}
"""
)
# Each part stands for itself: where somebody has put something else into its key, that costs the part alone.
# Whatever else Redis refuses it refuses before the first write, and everything is done later. The guard
# counts an outcome with the first part of it that shows that none of this was done before.
_ARRIVE = LuaScript(
    """
local accounts, holds, expiry, cap_dial, cooldown, breaker, probe, ledger, claim, released, answer, answers,
      kill, outcomes, minutes, noticed, seen = unpack(KEYS)
local job, id, spent, what, rule, text, kept_seconds, most, pause_ms, word, probe_ms, taken_back, is_end,
      holder, concluded = unpack(ARGV)
"""
    + OF_ITS_KEYS
    + _TIME
    + ACCOUNT
    + LIMITS
    + CLAIMS
    + PUT
    + guard.OBSERVE
    + """
local refused = {}
local function part(name, work)
  local done, said = pcall(work)
  if done then return said end
  if not of_its_keys(said) then error(said) end
  refused[#refused + 1] = name
end
local first = holder == ''
if id ~= '' then
  first = part('cost', function() write_off_expired() return settle(id, what, spent, rule) end) or first
end
if text ~= '' then part('answer', function() put(job, text, kept_seconds, most) end) end
if pause_ms ~= '0' then part('cooldown', function() cool_down(pause_ms) end) end
if word == 'close' then part('breaker', close_breaker) end
if word ~= '' and word ~= 'close' then part('breaker', function() open_breaker(word, probe_ms) end) end
if taken_back ~= '0' then part('attempt', function() end_attempt(taken_back) end) end
local finding
if is_end == '1' then
  first = first or part('claim', function() return is_held(holder) end)
  if #ARGV > 15 and first then finding = part('guard', function() return observe(unpack(ARGV, 16)) end) end
  part('claim', function() release(job, holder, concluded, text ~= '') end)
end
return {refused, finding or false}
"""
)


@dataclass(frozen=True, slots=True)
class RedisSteps:
    """The steps in one namespace; `worker_id` is the one under which this process sends its heartbeats.

    `cap_nano_usd` is this deployment's cap for each window, None for none. One probe leaves in
    `probe_seconds` while the breaker is open. A cooldown that would hold for more than
    `longest_cooldown_seconds` is cut to that. The newest `answers_kept` answers live `answer_ttl_seconds`.
    """

    redis: RedisBatches
    namespace: str
    worker_id: str
    worker_lost_seconds: int
    cap_nano_usd: int | None
    window_seconds: int
    probe_seconds: float
    answer_ttl_seconds: int
    answers_kept: int
    rules: GuardRules
    longest_cooldown_seconds: float
    _released: ReleasedClaims = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_released", ReleasedClaims(self.redis.client, self.namespace))

    @classmethod
    def of(
        cls, redis: RedisBatches, namespace: str, worker_id: str, settings: Settings, config: ExecutorConfig
    ) -> Self:
        """Return the steps that a deployment's settings and executor config ask for."""
        return cls(
            redis,
            namespace,
            worker_id,
            settings.worker_lost_seconds,
            settings.budget_nano_usd,
            settings.budget_window_seconds,
            config.probe_seconds,
            config.answer_ttl_seconds,
            settings.cache_answers,
            config.guard,
            settings.longest_cooldown_seconds,
        )

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        """Claim the job, unless it has an answer (but `despite`) or a living worker has it.

        Raises StoreUnavailable when Redis does not say, or has an answer that is no JSON.
        """
        ns = self.namespace
        keys = [CLAIM(ns, key), ANSWER(ns, key), WORKERS(ns), WORKERS_RESUMED(ns)]
        arguments = [self._held_by(token), despite, CLAIM.seconds, self.worker_lost_seconds]
        ours, stored = await self.redis.run(CLAIM_SCRIPT, keys, *arguments)
        return Claim(bool(ours), stored, read_json(ANSWER, ANSWER(ns, key), stored) if stored else None)

    def released(self, key: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Give an event that is set whenever the claim of `key` may be free, from now on."""
        return self._released.of(key)

    async def depart(self, departure: Departure) -> Departed:
        """Hold the money of a request and count it, unless something of the fleet forbids it.

        Raises StoreUnavailable.
        """
        said, *rest = await self.redis.run(
            _DEPART,
            self._shared_keys(departure.key, departure.model),
            departure.reservation_id,
            departure.worst_nano_usd,
            departure.model,
            -1 if self.cap_nano_usd is None else self.cap_nano_usd,
            self.window_seconds,
            int(departure.hold_seconds * 1000),
            departure.most_begun,
            int(self.longest_cooldown_seconds * 1000),
            self._probe_ms,
            self._held_by(departure.token) if departure.token else "",
            int(departure.may_probe),
        )
        match said:
            case b"left":
                return Departed(left=True, begun=rest[0], probe=bool(rest[1]))
            case b"unclaimed":
                return Departed(left=False, unclaimed=True)
            case b"wait":
                return Departed(left=False, wait_seconds=rest[0] / 1000)
            case b"refused":
                return Departed(left=False, refused=refusal(rest[0].decode(errors="replace")))
            case b"uncovered":
                return Departed(left=False, uncovered=(rest[0], rest[1]))
        return Departed(left=False, begun=rest[0])

    async def arrive(self, arrival: Arrival) -> Arrived:
        """Book an arrival, however long Redis takes; twice is once.

        A part whose key holds something else is left, and said in the log: an answer is then not stored,
        money that is held runs out, which is spent, too.
        """
        ns, key = self.namespace, arrival.key
        settlement, ending = arrival.settlement, arrival.ending
        word = "close" if arrival.closes_breaker else arrival.opened_by or ""
        parts, found = await self.redis.run_patiently(
            _ARRIVE,
            [
                *self._shared_keys(key, arrival.model),
                ANSWER(ns, key),
                ANSWERS(ns),
                KILL(ns),
                GUARD(ns),
                GUARD_SPENT(ns, ""),
                AUDIT_NOTICED(ns),
                AUDIT_SEEN(ns),
            ],
            key,
            settlement.reservation_id if settlement else "",
            settlement.spent_nano_usd if settlement else 0,
            "spent" if settlement and settlement.known else "written_off",
            settlement.rule if settlement else "",
            "" if arrival.answer is None else arrival.answer,
            self.answer_ttl_seconds,
            self.answers_kept,
            math.ceil(arrival.cooldown_seconds * 1000),
            word,
            self._probe_ms,
            arrival.taken_back,
            int(ending is not None),
            self._held_by(ending.token) if ending and ending.token else "",
            int(bool(ending and ending.concluded)),
            *(
                guard.words(ending.observation, self.rules, user_of(self.redis.client))
                if ending and ending.observation
                else ()
            ),
        )
        refused = sorted({each.decode() for each in parts})
        if refused:
            emit(_log, logging.ERROR, "arrival_refused", parts=refused)
        return Arrived(arrival.answer is None or "answer" not in refused, _finding(*found) if found else None)

    def _shared_keys(self, key: str, model: str) -> list[str]:
        """Return the keys that both departures and arrivals touch, in the order of their scripts."""
        ns = self.namespace
        return [
            BUDGET(ns, ""),
            BUDGET_HOLDS(ns),
            BUDGET_EXPIRY(ns),
            BUDGET_CAP(ns),
            COOLDOWN(ns, model),
            BREAKER(ns),
            BREAKER_PROBE(ns),
            LEDGER(ns, key),
            CLAIM(ns, key),
            RELEASED(ns),
        ]

    @property
    def _probe_ms(self) -> int:
        return int(self.probe_seconds * 1000)

    def _held_by(self, token: str) -> str:
        return f"{self.worker_id}:{token}"


def _finding(verdict: bytes, reason: bytes, tripped: int) -> GuardFinding:
    return GuardFinding(GuardVerdict(verdict.decode()), reason.decode(), bool(tripped))
