"""The five success criteria: each passes, fails, or is unknown for want of data."""

from __future__ import annotations

import pytest

from tasks.operations.drill import DrillCheck, DrillRecord
from tasks.operations.stability import Verdict, assess
from tests.tasks.operations.past import NOW_MS, an_outcome

GOOD = [an_outcome() for _ in range(100)]
DRILL = DrillRecord(NOW_MS - 3_600_000, "ann", True, 12.0, 2, 30, ())
DISTRIBUTION, SCHEMAS, CODES, LATENCY, ROLLBACK = range(5)


def criterion(number, outcomes, drill=DRILL):
    return assess(outcomes, drill, NOW_MS).criteria[number]


def failed(code, number=1):
    return [an_outcome(status="FAILED", error_code=code) for _ in range(number)]


def stub(code, number=1, path="stub"):
    return [an_outcome(status="STUB", error_code=code, path=path) for _ in range(number)]


def test_a_good_day_with_a_drill_is_stable():
    report = assess(GOOD, DRILL, NOW_MS)

    assert report.stable
    assert [each.verdict for each in report.criteria] == [Verdict.PASS] * 5


def test_no_data_is_unknown_and_never_stable():
    report = assess([], None, NOW_MS)

    assert [each.verdict for each in report.criteria] == [Verdict.UNKNOWN] * 5
    assert not report.stable


def test_too_few_jobs_are_unknown():
    verdicts = [each.verdict for each in assess(GOOD[:19], DRILL, NOW_MS).criteria]

    assert verdicts == [Verdict.UNKNOWN] * 4 + [Verdict.PASS]


def test_what_the_gates_kept_out_is_not_judged():
    report = assess([*GOOD, *stub("ROLLOUT_EXCLUDED", 5000)], DRILL, NOW_MS)

    assert (report.jobs, report.admitted, report.stable) == (5100, 100, True)


def test_jobs_that_were_halted_in_flight_are_admitted_and_no_failures():
    found = criterion(DISTRIBUTION, [*GOOD, *stub("KILL_SWITCH", 50, path="openai")])

    assert found.verdict is Verdict.PASS
    assert found.figure.endswith("50 more were STUB, 50 of them halted")


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


def test_latency_is_that_of_generated_jobs_alone():
    cached = [an_outcome(path="stub", cached=True, latency_ms=1) for _ in range(1000)]
    slow = [an_outcome(latency_ms=31_000) for _ in range(10)]

    assert criterion(LATENCY, [*GOOD, *cached]).figure.startswith("p50 0.10 s, p95 0.10 s, p99 0.10 s")
    assert criterion(LATENCY, [*GOOD, *cached, *slow]).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("drill", "verdict", "words"),
    [
        (None, Verdict.UNKNOWN, "never drilled; run `slotgen drill`"),
        (DRILL, Verdict.PASS, "drilled 1 h ago by ann: 2 workers halted in 12 ms"),
        (
            DrillRecord(
                NOW_MS, "ann", False, None, 2, 0, (DrillCheck("the dials are as they were", False, "x"),)
            ),
            Verdict.FAIL,
            "drilled just now by ann; not so: the dials are as they were",
        ),
        (
            DrillRecord(NOW_MS - 8 * 86_400_000, "ann", True, 1.0, 2, 0, ()),
            Verdict.UNKNOWN,
            "drilled 8 d ago by ann, over 7 d; drill again",
        ),
    ],
)
def test_the_rollback_is_proven_by_a_recent_drill(drill, verdict, words):
    found = criterion(ROLLBACK, GOOD, drill)

    assert (found.verdict, found.figure) == (verdict, words)
