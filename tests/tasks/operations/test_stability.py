"""The five success criteria: each passes, fails, or is unknown for want of data."""

from __future__ import annotations

import pytest

from tasks.operations.drill import DrillCheck, DrillRecord
from tasks.operations.stability import Verdict, assess
from tests.tasks.operations.past import NOW_MS, an_outcome
from worker.adapters.redis.console.probe import probe_spec

DAY_MINUTES = 24 * 60
DRILL = DrillRecord(NOW_MS - 3_600_000, "ann", True, 12.0, 2, 30, ())
IDLE = "no call was in flight, so nothing was cancelled; drill again while jobs run"
DISTRIBUTION, SCHEMAS, CODES, LATENCY, ROLLBACK = range(5)


def jobs(number, name="job", *, over_minutes=DAY_MINUTES, **changes):
    """Return the outcomes of `number` different jobs, the oldest first, evenly over so many minutes."""
    return [
        an_outcome(f"{name}-{each}", minutes_ago=over_minutes * (1 - each / number), **changes)
        for each in range(number)
    ]


GOOD = jobs(100)


def criterion(number, outcomes, drill=DRILL):
    return assess(outcomes, drill, NOW_MS).criteria[number]


def failed(code, number=1):
    return jobs(number, "failed", status="FAILED", error_code=code)


def stub(code, number=1, path="stub"):
    return jobs(number, "stub", status="STUB", error_code=code, path=path)


def test_a_good_day_with_a_drill_is_stable():
    report = assess(GOOD, DRILL, NOW_MS)

    assert report.stable
    assert [each.verdict for each in report.criteria] == [Verdict.PASS] * 5


def test_no_data_is_unknown_and_never_stable():
    report = assess([], None, NOW_MS)

    assert [each.verdict for each in report.criteria] == [Verdict.UNKNOWN] * 5
    assert not report.stable


def test_too_few_jobs_are_unknown_and_their_figures_are_shown():
    report = assess(jobs(59), DRILL, NOW_MS)

    assert [each.verdict for each in report.criteria] == [Verdict.UNKNOWN] * 4 + [Verdict.PASS]
    assert all("; only 59 jobs, and 60 are needed" in each.figure for each in report.criteria[:4])
    assert report.criteria[DISTRIBUTION].figure.startswith("100.0% of 59 COMPLETED")
    assert report.conclusion == "not known yet"


def test_many_jobs_of_the_last_minutes_are_no_history():
    report = assess(jobs(5000, over_minutes=11 * 60), DRILL, NOW_MS)

    assert [each.verdict for each in report.criteria] == [Verdict.UNKNOWN] * 4 + [Verdict.PASS]
    assert all(
        each.figure.endswith("; only the last 11 h are known, and 12 h are needed")
        for each in report.criteria[:4]
    )


def test_a_bad_hour_fails_without_waiting_for_a_history():
    bad = [
        *jobs(60, over_minutes=1),
        *jobs(20, "bad", over_minutes=1, status="FAILED", error_code="OPENAI_TIMEOUT"),
    ]
    report = assess(bad, DRILL, NOW_MS)

    assert report.criteria[CODES].verdict is Verdict.FAIL
    assert report.conclusion == "not stable"


def test_a_job_that_is_sent_again_is_no_new_one():
    served_again = [an_outcome("job-1", path="stub", cached=True, latency_ms=1) for _ in range(1000)]
    generated_again = [an_outcome("job-2", latency_ms=1) for _ in range(1000)]

    report = assess([*GOOD[:40], *served_again, *generated_again], DRILL, NOW_MS)

    assert (report.outcomes, report.jobs, report.admitted, len(report.latencies_ms)) == (2040, 40, 40, 40)
    assert all("only 40 jobs" in each.figure for each in report.criteria[:4])


def test_a_failure_is_not_undone_by_sending_the_job_again():
    failures = failed("OPENAI_TIMEOUT", 10)
    again = [an_outcome(each.subject.job_id) for each in failures]

    found = criterion(DISTRIBUTION, [*GOOD, *failures, *again])

    assert (found.verdict, found.figure.split(" (")[0]) == (Verdict.FAIL, "90.9% of 110 COMPLETED")


def test_an_answer_of_another_day_that_is_served_again_proves_nothing():
    report = assess(jobs(100, path="stub", cached=True), DRILL, NOW_MS)

    assert report.criteria[DISTRIBUTION].verdict is Verdict.UNKNOWN
    assert report.criteria[DISTRIBUTION].figure == "no job yet; 60 are needed, over 12 h"


def test_what_was_spent_is_told_by_rule_the_most_first_each_outcome_by_itself():
    spent = [("a", 1), ("b", 5), ("c", 2), ("d", 3), ("e", 4), ("b", 5), ("f", 0), (None, 9)]
    outcomes = [an_outcome("job", rule_id=rule, cost_nano_usd=usd * 10**9) for rule, usd in spent]

    report = assess(outcomes, None, NOW_MS)

    assert list(report.spent_by_rule.items()) == [
        ("b", 10 * 10**9), ("e", 4 * 10**9), ("d", 3 * 10**9), ("c", 2 * 10**9), ("a", 10**9)
    ]  # fmt: skip
    assert report.spent == "spent: $20.00, by rule b $10.00, e $4.00, d $3.00, 2 rules more"
    assert assess(outcomes[:1], None, NOW_MS).spent == "spent: $1.00, by rule a $1.00"
    assert assess([], None, NOW_MS).spent == "spent: nothing"


def test_probes_are_no_jobs():
    (job,) = probe_spec(opted_in=True)["jobs"]
    probes = [an_outcome(job["jobId"], status="STUB", error_code="KILL_SWITCH", path="stub")] * 20

    report = assess([*GOOD, *probes], DRILL, NOW_MS)

    assert (report.jobs, report.probes, report.statuses, report.causes) == (100, 20, {"COMPLETED": 100}, {})


def test_what_the_gates_kept_out_is_not_judged():
    report = assess([*GOOD, *stub("ROLLOUT_EXCLUDED", 5000)], DRILL, NOW_MS)

    assert (report.jobs, report.admitted, report.stable) == (5100, 100, True)


def test_jobs_that_were_halted_in_flight_are_admitted_and_no_failures():
    found = criterion(DISTRIBUTION, [*GOOD, *stub("KILL_SWITCH", 50, path="openai")])

    assert found.verdict is Verdict.PASS
    assert found.figure.endswith("50 more STUB (50 halted)")


@pytest.mark.parametrize(("failures", "verdict"), [(5, Verdict.PASS), (6, Verdict.FAIL)])
def test_a_share_of_failures_beyond_the_threshold_fails(failures, verdict):
    outcomes = [*GOOD[: 100 - failures], *failed("OPENAI_TIMEOUT", failures)]

    assert criterion(DISTRIBUTION, outcomes).verdict is verdict
    assert criterion(CODES, outcomes).verdict is verdict


@pytest.mark.parametrize(
    "code", ["OUTPUT_SCHEMA_INVALID", "OUTPUT_NOT_JSON", "OUTPUT_POLICY_VIOLATION", "OUTPUT_TRUNCATED"]
)
def test_one_unusable_output_fails(code):
    assert criterion(SCHEMAS, [*GOOD, *failed(code)]).verdict is Verdict.FAIL


def test_one_invalid_event_fails():
    assert criterion(SCHEMAS, [*GOOD, an_outcome(telemetry_valid=False)]).verdict is Verdict.FAIL


def test_one_bug_fails():
    found = criterion(CODES, [*GOOD, *failed("INTERNAL_ERROR")])

    assert (found.verdict, found.figure) == (Verdict.FAIL, "1 INTERNAL_ERROR, a bug: report it")


def test_a_bug_of_a_job_that_is_sent_again_fails():
    twice = [*failed("OPENAI_TIMEOUT"), *failed("INTERNAL_ERROR")]

    assert criterion(CODES, [*GOOD, *twice]).verdict is Verdict.FAIL


def test_latency_is_that_of_generated_jobs_alone():
    cached = jobs(1000, "cached", path="stub", cached=True, latency_ms=1)
    slow = jobs(10, "slow", latency_ms=31_000)

    assert criterion(LATENCY, [*GOOD, *cached]).figure.startswith("p50 100 ms, p95 100 ms, p99 100 ms")
    assert criterion(LATENCY, [*GOOD, *cached, *slow]).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("drill", "verdict", "words"),
    [
        (None, Verdict.UNKNOWN, "no drill with calls in flight yet; run `slotgen drill`"),
        (
            DRILL,
            Verdict.PASS,
            "drilled 1 h ago by ann: 12 ms until all workers (2) had halted, calls cancelled: 30",
        ),
        (
            DrillRecord(NOW_MS, "ann", True, 12.0, 2, 0, ()),
            Verdict.UNKNOWN,
            f"drilled just now by ann: {IDLE}",
        ),
        (
            DrillRecord(
                NOW_MS, "ann", False, None, 2, 0, (DrillCheck("the dials are as they were", False, "x"),)
            ),
            Verdict.FAIL,
            "drilled just now by ann; not so: the dials are as they were",
        ),
        (
            DrillRecord(NOW_MS - 8 * 86_400_000, "ann", True, 1.0, 2, 3, ()),
            Verdict.UNKNOWN,
            "drilled 8 d ago by ann, over 7 d; drill again",
        ),
    ],
)
def test_the_rollback_is_proven_by_a_recent_drill(drill, verdict, words):
    found = criterion(ROLLBACK, GOOD, drill)

    assert (found.verdict, found.figure) == (verdict, words)
