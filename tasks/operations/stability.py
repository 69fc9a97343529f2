"""The beta runbook's success criteria, each judged by what happened; too little is unknown, never a pass."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from statistics import quantiles

from gates import REASONS
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.drill import DrillRecord
from tasks.operations.money import usd
from tasks.operations.probes import is_probe
from tasks.operations.timefmt import ago, counted, milliseconds, span

# What is expected of a stable beta; shares are of the admitted jobs. 59 jobs without a failure show with 95 %
# confidence that fewer than one in twenty fails; as many show that the p95 is below the slowest of them.
_SMALLEST_SAMPLE = 60
# More than an evening or a quiet morning; half of what the report looks back on by default.
_SMALLEST_HISTORY_HOURS = 12
_COMPLETED_SHARE = 0.95
_FAILED_SHARE = 0.05
LATENCY_P95_SECONDS = 30
_DRILL_DAYS = 7
_RULES_NAMED = 3
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
    """The criteria in the runbook's order, and the figures that a page plots.

    `outcomes` came from this many `jobs`, of which `admitted` had passed the gates; `probes` count nowhere
    else. `spent_by_rule` has the nano-dollars that the jobs of each allowlist rule have cost, the most first.
    """

    criteria: tuple[Criterion, ...]
    outcomes: int
    jobs: int
    admitted: int
    probes: int
    statuses: dict[str, int]
    codes: dict[str, int]
    causes: dict[str, int]
    latencies_ms: tuple[float, ...]
    percentiles_ms: dict[str, float]
    spent_by_rule: dict[str, int]

    @property
    def spent(self) -> str:
        """What was spent, in a sentence, with the rules that have spent the most."""
        if not self.spent_by_rule:
            return "spent: nothing"
        first = [f"{rule} {usd(amount)}" for rule, amount in islice(self.spent_by_rule.items(), _RULES_NAMED)]
        more = [counted(len(self.spent_by_rule) - _RULES_NAMED, "rule") + " more"] * (
            len(self.spent_by_rule) > _RULES_NAMED
        )
        return f"spent: {usd(sum(self.spent_by_rule.values()))}, by rule {', '.join(first + more)}"

    @property
    def stable(self) -> bool:
        """Whether every criterion passes."""
        return all(each.verdict is Verdict.PASS for each in self.criteria)

    @property
    def conclusion(self) -> str:
        """The criteria in a word."""
        if any(each.verdict is Verdict.FAIL for each in self.criteria):
            return "not stable"
        return "stable" if self.stable else "not known yet"

    @property
    def counts(self) -> str:
        """What was counted, in a sentence."""
        probes = f"; probes of drills and checks, not counted: {self.probes}" if self.probes else ""
        return f"jobs: {self.jobs}, past the gates: {self.admitted}, outcomes: {self.outcomes}{probes}"


def assess(outcomes: Sequence[OutcomeRecord], last_drill: DrillRecord | None, now_wall_ms: int) -> Report:
    """Return the report over `outcomes`, the oldest first.

    A job counts once however often it is sent: as FAILED if it ever was, since sending it again undoes no
    failure. A stored answer served again says nothing new.
    """
    real = [each for each in outcomes if not is_probe(each.subject)]
    # A job that the brake halted in flight had passed the gates.
    admitted = [each for each in real if each.error_code not in _GATES or each.path == "openai"]
    fresh = [each for each in admitted if not each.cached]
    # Verbatim text, a full budget and a halt are answers, not failures to answer.
    failed = _first_of_each(each for each in fresh if each.status == "FAILED")
    completed = _first_of_each(each for each in fresh if each.status == "COMPLETED")
    answered = completed | failed
    stubs = _first_of_each(each for each in fresh if each.subject.job_id not in answered).values()
    halted = sum(each.error_code in _GATES for each in stubs)
    judged = tuple(answered.values())
    generated = tuple(each for each in completed.values() if each.path == "openai")
    latencies_ms = tuple(sorted(each.latency_ms for each in generated))
    percentiles = _percentiles(latencies_ms)
    share = 1 - len(failed) / max(1, len(answered))
    return Report(
        criteria=(
            _criterion(
                "expected distribution of STUB vs COMPLETED for admitted jobs",
                f"{share:.1%} of {len(answered)} COMPLETED (at least {_COMPLETED_SHARE:.0%}); "
                f"{len(stubs)} more STUB ({halted} halted)",
                judged,
                now_wall_ms,
                passed=share >= _COMPLETED_SHARE,
            ),
            _schemas(real, judged, now_wall_ms),
            _error_codes(real, judged, now_wall_ms),
            _criterion(
                "latency is within expected bounds for admitted jobs",
                ", ".join(f"{each} {milliseconds(ms)}" for each, ms in percentiles.items())
                + f" (p95 at most {LATENCY_P95_SECONDS} s)",
                generated,
                now_wall_ms,
                passed=percentiles.get("p95", 0) <= LATENCY_P95_SECONDS * 1000,
            ),
            _rollback(last_drill, now_wall_ms),
        ),
        outcomes=len(real),
        jobs=len(_first_of_each(real)),
        admitted=len(_first_of_each(admitted)),
        probes=len(outcomes) - len(real),
        statuses=dict(Counter(each.status for each in real)),
        codes=dict(Counter(each.error_code for each in real if each.error_code).most_common()),
        causes=dict(Counter(each.cause for each in real if each.cause).most_common()),
        latencies_ms=latencies_ms,
        percentiles_ms=percentiles,
        spent_by_rule=_spent_by_rule(real),
    )


def _spent_by_rule(outcomes: Iterable[OutcomeRecord]) -> dict[str, int]:
    """Return the nano-dollars by rule, of each outcome: a job that is generated twice has cost twice."""
    spent: Counter[str] = Counter()
    for each in outcomes:
        if each.cost_nano_usd and each.rule_id:
            spent[each.rule_id] += each.cost_nano_usd
    return dict(spent.most_common())


def _first_of_each(outcomes: Iterable[OutcomeRecord]) -> dict[str, OutcomeRecord]:
    """Return the first outcome of each job, by its id."""
    found: dict[str, OutcomeRecord] = {}
    for each in outcomes:
        found.setdefault(each.subject.job_id, each)
    return found


def _criterion(
    name: str,
    figure: str,
    sample: Sequence[OutcomeRecord],
    now_wall_ms: int,
    *,
    passed: bool,
    broken: bool = False,
) -> Criterion:
    """Return a criterion over a sample, one outcome a job; `broken` fails it, however small the sample."""
    needed = f"{_SMALLEST_SAMPLE} are needed"
    if broken:
        return Criterion(name, Verdict.FAIL, figure)
    if not sample:
        return Criterion(name, Verdict.UNKNOWN, f"no job yet; {needed}, over {_SMALLEST_HISTORY_HOURS} h")
    if len(sample) < _SMALLEST_SAMPLE:
        few = f"only {len(sample)} job{'s' * (len(sample) > 1)}, and {needed}"
        return Criterion(name, Verdict.UNKNOWN, f"{figure}; {few}")
    # Bad evidence needs no history: an hour of failures is no stable beta.
    if not passed:
        return Criterion(name, Verdict.FAIL, figure)
    seconds = (now_wall_ms - min(each.wall_ms for each in sample)) / 1000
    if seconds < _SMALLEST_HISTORY_HOURS * 3600:
        short = f"only the last {span(max(1, seconds))} are known, and {_SMALLEST_HISTORY_HOURS} h are needed"
        return Criterion(name, Verdict.UNKNOWN, f"{figure}; {short}")
    return Criterion(name, Verdict.PASS, figure)


def _schemas(real: Sequence[OutcomeRecord], answered: Sequence[OutcomeRecord], now_wall_ms: int) -> Criterion:
    bad = Counter(each.cause for each in real if each.error_code in _SCHEMA_CODES)
    invalid = sum(not each.telemetry_valid for each in real)
    causes = ": " + ", ".join(f"{number} {cause}" for cause, number in bad.most_common(3)) if bad else ""
    figure = f"{bad.total()} unusable outputs of {len(answered)}{causes}; {invalid} invalid events"
    name = "no schema validation failures for outputs"
    return _criterion(name, figure, answered, now_wall_ms, passed=True, broken=bool(bad or invalid))


def _error_codes(
    real: Sequence[OutcomeRecord], answered: Sequence[OutcomeRecord], now_wall_ms: int
) -> Criterion:
    failed = Counter(each.cause for each in answered if each.status == "FAILED")
    bugs = sum(each.error_code == "INTERNAL_ERROR" for each in real)
    share = failed.total() / max(1, len(answered))
    worst = ", ".join(f"{number} {code}" for code, number in failed.most_common(3)) or "none"
    figure = f"{share:.1%} FAILED (at most {_FAILED_SHARE:.0%}): {worst}"
    return _criterion(
        "errorCode rates are understood and acceptable",
        f"{bugs} INTERNAL_ERROR, a bug: report it" if bugs else figure,
        answered,
        now_wall_ms,
        passed=share <= _FAILED_SHARE,
        broken=bugs > 0,
    )


def _rollback(last: DrillRecord | None, now_wall_ms: int) -> Criterion:
    name = "rollback has been tested and behaves deterministically"
    if last is None:
        return Criterion(name, Verdict.UNKNOWN, "no drill with calls in flight yet; run `slotgen drill`")
    age_ms = now_wall_ms - last.wall_ms
    when = f"drilled {ago(age_ms)} by {last.actor}"
    if not last.passed:
        broken = ", ".join(each.name for each in last.checks if not each.passed)
        return Criterion(name, Verdict.FAIL, f"{when}; not so: {broken}")
    if age_ms > _DRILL_DAYS * 86_400_000:
        return Criterion(name, Verdict.UNKNOWN, f"{when}, over {_DRILL_DAYS} d; drill again")
    if not last.cancelled_calls:
        idle = "no call was in flight, so nothing was cancelled; drill again while jobs run"
        return Criterion(name, Verdict.UNKNOWN, f"{when}: {idle}")
    took = f"{milliseconds(last.halt_ms or 0)} until all workers ({last.workers}) had halted"
    return Criterion(name, Verdict.PASS, f"{when}: {took}, calls cancelled: {last.cancelled_calls}")


def _percentiles(sorted_ms: tuple[float, ...]) -> dict[str, float]:
    if len(sorted_ms) < 2:  # noqa: PLR2004 - quantiles need two
        return dict.fromkeys(("p50", "p95", "p99"), sorted_ms[0]) if sorted_ms else {}
    cuts = quantiles(sorted_ms, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}
