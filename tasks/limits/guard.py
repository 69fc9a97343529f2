"""The fleet's own hard stop: what in an outcome counts against the fleet, and the rules that judge it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass

from tasks.errors import ErrorCode, Status
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome, outcome_cause

_UNUSABLE = {
    ErrorCode.OUTPUT_NOT_JSON,
    ErrorCode.OUTPUT_SCHEMA_INVALID,
    ErrorCode.OUTPUT_POLICY_VIOLATION,
    ErrorCode.OUTPUT_TRUNCATED,
    ErrorCode.CONTENT_FLAGGED,
}


class GuardMode(StrEnum):
    """What a breach does."""

    HALT = "halt"
    WARN = "warn"
    OFF = "off"


# In the executor config these names are in camelCase.
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
    """Breach, healthy, or too little data to say; the last one changes nothing."""

    BREACH = "breach"
    HEALTHY = "healthy"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """The verdict and, for a breach, the condition with its figures; `tripped`: this one halted the fleet."""

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


@dataclass(frozen=True, slots=True)
class Observation:
    """What the guard sees of an outcome: what counts against the fleet, what it cost, and its cause.

    `cause` is the errorCode of the outcome, with the rule that was broken (`outcome_cause`), or "".
    """

    marked: frozenset[JobResult]
    cost_nano_usd: int
    cause: str


@dataclass(frozen=True, slots=True)
class OutcomeMonitor:
    """Says what the guard sees of the outcomes of a model; `report` gets every breach that it finds."""

    rules: GuardRules
    report: Callable[[GuardFinding], None]

    def observation(self, outcome: Outcome, context: JobContext, *, event_valid: bool) -> Observation | None:
        """Return what the guard sees of `outcome`, or None if it says nothing about the model or us."""
        # A STUB comes from a dial, and a stored answer is old news.
        asked = context.attempts > 0 and outcome.status is not Status.STUB
        counts = asked or outcome.error_code is ErrorCode.INTERNAL_ERROR
        if self.rules.mode is GuardMode.OFF or not counts:
            return None
        return Observation(
            marks(outcome, context.took_ms.get("request", 0.0), self.rules, event_valid=event_valid),
            context.cost_nano_usd,
            outcome_cause(outcome.error_code, context.policy_rule),
        )

    def found(self, finding: GuardFinding | None) -> None:
        """Report a breach."""
        if finding and finding.verdict is GuardVerdict.BREACH:
            self.report(finding)
