"""The beta runbook's success criteria, each judged by what happened; no data is unknown, never a pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import quantiles

from gates import REASONS
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.drill import DrillRecord
from tasks.operations.timefmt import ago

# What is expected of a stable beta; shares are of the admitted jobs.
_SMALLEST_SAMPLE = 20
_COMPLETED_SHARE = 0.95
_FAILED_SHARE = 0.05
_LATENCY_P95_SECONDS = 30
_DRILL_DAYS = 7
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


def assess(outcomes: Sequence[OutcomeRecord], last_drill: DrillRecord | None, now_wall_ms: int) -> Report:
    """Return the report over `outcomes`."""
    # One that the brake halted in flight had passed the gates.
    admitted = [each for each in outcomes if each.error_code not in _GATES or each.path == "openai"]
    # Verbatim text, a full budget and a halt are answers, not failures to answer.
    answered = [each for each in admitted if each.status != "STUB"]
    completed = [each for each in admitted if each.status == "COMPLETED"]
    generated = tuple(sorted(each.latency_ms for each in completed if each.path == "openai"))
    percentiles = _percentiles(generated)
    stubs, halted = len(admitted) - len(answered), sum(each.error_code in _GATES for each in admitted)
    share = len(completed) / max(1, len(answered))
    return Report(
        criteria=(
            _criterion(
                "expected distribution of STUB vs COMPLETED for admitted jobs",
                f"{share:.1%} of {len(answered)} COMPLETED (at least {_COMPLETED_SHARE:.0%}); "
                f"{stubs} more were STUB, {halted} of them halted",
                sample=len(answered),
                passed=share >= _COMPLETED_SHARE,
            ),
            _schemas(outcomes, admitted, len(answered)),
            _error_codes(answered),
            _criterion(
                "latency is within expected bounds for admitted jobs",
                ", ".join(f"{each} {ms / 1000:.2f} s" for each, ms in percentiles.items())
                + f" (p95 at most {_LATENCY_P95_SECONDS} s)",
                sample=len(generated),
                passed=percentiles.get("p95", 0) <= _LATENCY_P95_SECONDS * 1000,
            ),
            _rollback(last_drill, now_wall_ms),
        ),
        admitted=len(admitted),
        jobs=len(outcomes),
        statuses=dict(Counter(each.status for each in outcomes)),
        codes=dict(Counter(each.error_code for each in outcomes if each.error_code).most_common()),
        causes=dict(Counter(each.cause for each in outcomes if each.cause).most_common()),
        latencies_ms=generated,
        percentiles_ms=percentiles,
    )


def _criterion(name: str, figure: str, *, sample: int, passed: bool, broken: bool = False) -> Criterion:
    """Return a criterion; `broken` fails it, however few the jobs."""
    if broken:
        return Criterion(name, Verdict.FAIL, figure)
    if sample < _SMALLEST_SAMPLE:
        few = f"only {sample} jobs, and {_SMALLEST_SAMPLE} are needed"
        return Criterion(name, Verdict.UNKNOWN, few)
    return Criterion(name, Verdict.PASS if passed else Verdict.FAIL, figure)


def _schemas(
    outcomes: Sequence[OutcomeRecord], admitted: Sequence[OutcomeRecord], answered: int
) -> Criterion:
    bad = Counter(each.cause for each in admitted if each.error_code in _SCHEMA_CODES)
    invalid = sum(not each.telemetry_valid for each in outcomes)
    causes = ": " + ", ".join(f"{number} {cause}" for cause, number in bad.most_common(3)) if bad else ""
    figure = f"{bad.total()} unusable outputs of {answered}{causes}; {invalid} invalid events"
    name = "no schema validation failures for outputs"
    return _criterion(name, figure, sample=answered, passed=True, broken=bool(bad or invalid))


def _error_codes(answered: Sequence[OutcomeRecord]) -> Criterion:
    failed = Counter(each.cause for each in answered if each.status == "FAILED")
    bugs = failed["INTERNAL_ERROR"]
    share = failed.total() / max(1, len(answered))
    worst = ", ".join(f"{number} {code}" for code, number in failed.most_common(3)) or "none"
    figure = f"{share:.1%} FAILED (at most {_FAILED_SHARE:.0%}): {worst}"
    return _criterion(
        "errorCode rates are understood and acceptable",
        f"{bugs} INTERNAL_ERROR, a bug: report it" if bugs else figure,
        sample=len(answered),
        passed=share <= _FAILED_SHARE,
        broken=bugs > 0,
    )


def _rollback(last: DrillRecord | None, now_wall_ms: int) -> Criterion:
    name = "rollback has been tested and behaves deterministically"
    if last is None:
        return Criterion(name, Verdict.UNKNOWN, "never drilled; run `slotgen drill`")
    age_ms = now_wall_ms - last.wall_ms
    when = f"drilled {ago(age_ms)} by {last.actor}"
    if not last.passed:
        broken = ", ".join(each.name for each in last.checks if not each.passed)
        return Criterion(name, Verdict.FAIL, f"{when}; not so: {broken}")
    if age_ms > _DRILL_DAYS * 86_400_000:
        return Criterion(name, Verdict.UNKNOWN, f"{when}, over {_DRILL_DAYS} d; drill again")
    return Criterion(
        name, Verdict.PASS, f"{when}: {last.workers} workers halted in {last.halt_ms or 0:.0f} ms"
    )


def _percentiles(sorted_ms: tuple[float, ...]) -> dict[str, float]:
    if len(sorted_ms) < 2:  # noqa: PLR2004 - quantiles need two
        return dict.fromkeys(("p50", "p95", "p99"), sorted_ms[0]) if sorted_ms else {}
    cuts = quantiles(sorted_ms, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}
