"""The beta runbook's success criteria, each judged by what happened; no data is unknown, never a pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import quantiles

from gates import REASONS
from tasks.operations.drill import DrillRecord
from tasks.operations.history import PastOutcome
from tasks.operations.timefmt import ago

_GATES = {reason.value for reason in REASONS}
_SCHEMA_CODES = {
    "OUTPUT_NOT_JSON",
    "OUTPUT_SCHEMA_INVALID",
    "OUTPUT_POLICY_VIOLATION",
    "OUTPUT_TRUNCATED",
}


class Verdict(StrEnum):
    """How a criterion stands."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is expected of a stable beta. Shares are 0 to 1 of the admitted jobs."""

    smallest_sample: int = 20
    completed_share: float = 0.95
    failed_share: float = 0.05
    latency_p95_seconds: float = 30.0
    drill_days: int = 7


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion: the runbook's words, the verdict, and the figure behind it."""

    name: str
    verdict: Verdict
    figure: str


@dataclass(frozen=True, slots=True)
class Report:
    """The criteria in the runbook's order, and the figures that a page plots."""

    criteria: tuple[Criterion, ...]
    admitted: int
    jobs: int
    statuses: dict[str, int]
    codes: dict[str, int]
    causes: dict[str, int]
    latencies_ms: tuple[float, ...]
    percentiles_ms: dict[str, float]

    @property
    def stable(self) -> bool:
        """Whether every criterion passes."""
        return all(each.verdict is Verdict.PASS for each in self.criteria)


def judge(
    outcomes: Sequence[PastOutcome], last_drill: DrillRecord | None, thresholds: Thresholds, now_wall_ms: int
) -> Report:
    """Return the report over `outcomes`."""
    admitted = [each for each in outcomes if _admitted(each)]
    generated = tuple(sorted(each.latency_ms for each in admitted if _generated(each)))
    percentiles = _percentiles(generated)
    return Report(
        criteria=(
            _distribution(admitted, thresholds),
            _schemas(outcomes, admitted, thresholds),
            _error_codes(admitted, thresholds),
            _latency(generated, percentiles, thresholds),
            _rollback(last_drill, thresholds, now_wall_ms),
        ),
        admitted=len(admitted),
        jobs=len(outcomes),
        statuses=dict(Counter(each.status for each in outcomes)),
        codes=dict(Counter(each.error_code for each in outcomes if each.error_code).most_common()),
        causes=dict(Counter(each.cause for each in outcomes if each.cause).most_common()),
        latencies_ms=generated,
        percentiles_ms=percentiles,
    )


def _admitted(each: PastOutcome) -> bool:
    """Whether the five gates let the job pass; one that the brake halted in flight had passed them."""
    return each.error_code not in _GATES or each.path == "openai"


def _halted(each: PastOutcome) -> bool:
    return each.error_code in _GATES


def _generated(each: PastOutcome) -> bool:
    return each.status == "COMPLETED" and each.path == "openai"


def _distribution(admitted: Sequence[PastOutcome], thresholds: Thresholds) -> Criterion:
    name = "expected distribution of STUB vs COMPLETED for admitted jobs"
    # Verbatim text, a full budget and a halt are answers, not failures to answer.
    judged = [each for each in admitted if each.status != "STUB"]
    halted = sum(_halted(each) for each in admitted)
    if len(judged) < thresholds.smallest_sample:
        return Criterion(name, Verdict.UNKNOWN, _too_few(len(judged), thresholds))
    share = sum(each.status == "COMPLETED" for each in judged) / len(judged)
    stubs = len(admitted) - len(judged)
    figure = (
        f"{share:.1%} of {len(judged)} COMPLETED (at least {thresholds.completed_share:.0%}); "
        f"{stubs} more were STUB, {halted} of them halted"
    )
    return Criterion(name, _verdict(passed=share >= thresholds.completed_share), figure)


def _schemas(
    outcomes: Sequence[PastOutcome], admitted: Sequence[PastOutcome], thresholds: Thresholds
) -> Criterion:
    name = "no schema validation failures for outputs"
    bad = Counter(each.cause for each in admitted if each.error_code in _SCHEMA_CODES)
    invalid = sum(not each.telemetry_valid for each in outcomes)
    answered = [each for each in admitted if each.status != "STUB"]
    causes = ": " + ", ".join(f"{number} {cause}" for cause, number in bad.most_common(3)) if bad else ""
    figure = f"{bad.total()} unusable outputs of {len(answered)}{causes}; {invalid} invalid events"
    if bad or invalid:
        return Criterion(name, Verdict.FAIL, figure)
    if len(answered) < thresholds.smallest_sample:
        return Criterion(name, Verdict.UNKNOWN, _too_few(len(answered), thresholds))
    return Criterion(name, Verdict.PASS, figure)


def _error_codes(admitted: Sequence[PastOutcome], thresholds: Thresholds) -> Criterion:
    name = "errorCode rates are understood and acceptable"
    failed = Counter(each.cause for each in admitted if each.status == "FAILED")
    judged = [each for each in admitted if each.status != "STUB"]
    worst = ", ".join(f"{number} {code}" for code, number in failed.most_common(3)) or "none"
    if failed["INTERNAL_ERROR"]:
        return Criterion(name, Verdict.FAIL, f"{failed['INTERNAL_ERROR']} INTERNAL_ERROR, a bug: report it")
    if len(judged) < thresholds.smallest_sample:
        return Criterion(name, Verdict.UNKNOWN, _too_few(len(judged), thresholds))
    share = failed.total() / len(judged)
    figure = f"{share:.1%} FAILED (at most {thresholds.failed_share:.0%}): {worst}"
    return Criterion(name, _verdict(passed=share <= thresholds.failed_share), figure)


def _latency(
    generated: tuple[float, ...], percentiles: dict[str, float], thresholds: Thresholds
) -> Criterion:
    name = "latency is within expected bounds for admitted jobs"
    if len(generated) < thresholds.smallest_sample:
        return Criterion(name, Verdict.UNKNOWN, _too_few(len(generated), thresholds))
    shown = ", ".join(f"{each} {ms / 1000:.2f} s" for each, ms in percentiles.items())
    bound_ms = thresholds.latency_p95_seconds * 1000
    return Criterion(
        name,
        _verdict(passed=percentiles["p95"] <= bound_ms),
        f"{shown} (p95 at most {thresholds.latency_p95_seconds:g} s)",
    )


def _rollback(last: DrillRecord | None, thresholds: Thresholds, now_wall_ms: int) -> Criterion:
    name = "rollback has been tested and behaves deterministically"
    if last is None:
        return Criterion(name, Verdict.UNKNOWN, "never drilled; run `slotgen drill`")
    age_ms = now_wall_ms - last.wall_ms
    when = f"drilled {ago(age_ms)} by {last.actor}"
    if not last.passed:
        broken = ", ".join(each.name for each in last.checks if not each.passed)
        return Criterion(name, Verdict.FAIL, f"{when}; not so: {broken}")
    if age_ms > thresholds.drill_days * 86_400_000:
        return Criterion(name, Verdict.UNKNOWN, f"{when}, over {thresholds.drill_days} d; drill again")
    return Criterion(
        name, Verdict.PASS, f"{when}: {last.workers} workers halted in {last.halt_ms or 0:.0f} ms"
    )


def _percentiles(sorted_ms: tuple[float, ...]) -> dict[str, float]:
    if len(sorted_ms) < 2:  # noqa: PLR2004 - quantiles need two
        return dict.fromkeys(("p50", "p95", "p99"), sorted_ms[0]) if sorted_ms else {}
    cuts = quantiles(sorted_ms, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def _too_few(number: int, thresholds: Thresholds) -> str:
    return f"only {number} jobs, and {thresholds.smallest_sample} are needed"


def _verdict(*, passed: bool) -> Verdict:
    return Verdict.PASS if passed else Verdict.FAIL
