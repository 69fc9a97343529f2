"""The fleet's own hard stop: what of an outcome counts against it, and the rules by which it is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass

from tasks.errors import ErrorCode, Status, StoreUnavailable
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome, outcome_cause

_UNUSABLE = {
    ErrorCode.OUTPUT_NOT_JSON,
    ErrorCode.OUTPUT_SCHEMA_INVALID,
    ErrorCode.OUTPUT_POLICY_VIOLATION,
    ErrorCode.OUTPUT_TRUNCATED,
}


class GuardMode(StrEnum):
    """What a breach does."""

    HALT = "halt"
    WARN = "warn"
    OFF = "off"


# A part of the executor config stands there in camelCase.
IN_JSON = ConfigDict(alias_generator=to_camel, validate_by_name=True)


@pydantic_dataclass(frozen=True, slots=True, config=IN_JSON)
class GuardRules:
    """The hard-stop conditions of the executor config; shares are 0 to 1 of the latest `sample` outcomes."""

    mode: GuardMode
    window_seconds: float
    sample: int
    minimum_sample: int
    max_failed_share: float
    max_unusable_share: float
    max_latency_p95_seconds: float
    max_usd_per_minute: Decimal
    unexpected_codes: frozenset[str]
    max_invalid_events: int


class GuardVerdict(StrEnum):
    """Breach, healthy, or too little to say; the last one changes nothing."""

    BREACH = "breach"
    HEALTHY = "healthy"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """The verdict, and of a breach the condition with its figures; `tripped`: this one halted the fleet."""

    verdict: GuardVerdict
    reason: str = ""
    tripped: bool = False


class JobResult(StrEnum):
    """What counts against the fleet in one outcome."""

    FAILED = "F"
    UNUSABLE = "S"
    SLOW = "L"
    UNEXPECTED = "U"
    INVALID_EVENT = "I"


def marks(outcome: Outcome, model_ms: float, rules: GuardRules, *, event_valid: bool) -> frozenset[JobResult]:
    """Return what counts against the fleet in one outcome; `model_ms` is the time spent on its requests."""
    code = outcome.error_code
    held = {
        JobResult.FAILED: outcome.status is Status.FAILED,
        JobResult.UNUSABLE: code in _UNUSABLE,
        JobResult.SLOW: model_ms > rules.max_latency_p95_seconds * 1000,
        JobResult.UNEXPECTED: code is not None and code.value in rules.unexpected_codes,
        JobResult.INVALID_EVENT: not event_valid,
    }
    return frozenset(mark for mark, is_so in held.items() if is_so)


class Guard(Protocol):
    """The one account of the fleet's latest outcomes, which halts the fleet where they are bad."""

    async def observe(self, marked: frozenset[JobResult], cost_nano_usd: int, cause: str) -> GuardFinding:
        """Count one outcome, judge the latest ones, and halt where they breach a rule.

        `cause` is the errorCode of the outcome, with the rule that was broken (`outcome_cause`), or "".

        Raises:
            StoreUnavailable: Redis did not answer; the brake's own grace period is for that.

        """


@dataclass(frozen=True, slots=True)
class OutcomeMonitor:
    """Brings the outcomes of a model before the guard; `report` gets every breach."""

    guard: Guard
    rules: GuardRules
    report: Callable[[GuardFinding], None]

    async def __call__(self, outcome: Outcome, context: JobContext, *, event_valid: bool) -> None:
        """Let the guard see `outcome` if it says anything of the model or of us."""
        # A STUB is a dial's word, a stored answer is an old one.
        asked = context.attempts > 0 and outcome.status is not Status.STUB
        if not (asked or outcome.error_code is ErrorCode.INTERNAL_ERROR):
            return
        marked = marks(outcome, context.model_ms, self.rules, event_valid=event_valid)
        try:
            cause = outcome_cause(outcome.error_code, context.policy_rule)
            finding = await self.guard.observe(marked, context.cost_nano_usd, cause)
        except StoreUnavailable:
            return
        if finding.verdict is GuardVerdict.BREACH:
            self.report(finding)
