"""What of an outcome counts against the fleet, and what the guard gets to see."""

from __future__ import annotations

import dataclasses

import pytest

from tasks.errors import ErrorCode, Failed, ModelError, Status
from tasks.executor_config import load
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome, completed, ended
from tasks.limits.guard import GuardFinding, GuardMode, GuardVerdict, JobResult, OutcomeMonitor, marks
from tests.builders import a_job, a_spec
from tests.fakes.ports import FakeModel, answer
from tests.tasks.generate.use_case import UseCase

RULES = load(None).guard


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (None, ""),
        (ErrorCode.OPENAI_TIMEOUT, "F"),
        (ErrorCode.OUTPUT_SCHEMA_INVALID, "FS"),
        (ErrorCode.OUTPUT_NOT_JSON, "FS"),
        (ErrorCode.OUTPUT_POLICY_VIOLATION, "FS"),
        (ErrorCode.OUTPUT_TRUNCATED, "FS"),
        (ErrorCode.CONTENT_FLAGGED, "FS"),
        (ErrorCode.OUTPUT_REFUSED, "F"),
        (ErrorCode.INTERNAL_ERROR, "FU"),
    ],
)
def test_an_outcome_is_marked_by_its_code(code, expected):
    outcome = completed("j", {}) if code is None else ended("j", Failed(code))

    assert "".join(sorted(marks(outcome, 100, RULES, event_valid=True))) == expected


def test_a_slow_one_and_an_invalid_event_are_marked():
    outcome = completed("j", {})

    assert marks(outcome, 60_001, RULES, event_valid=True) == {JobResult.SLOW}
    assert marks(outcome, 60_000, RULES, event_valid=False) == {JobResult.INVALID_EVENT}


def test_every_outcome_of_a_model_is_seen_with_its_cost():
    case = UseCase(model=FakeModel([answer(), ModelError(ErrorCode.OPENAI_BAD_REQUEST)]))

    case.run(a_spec(a_job("a")))
    case.run(a_spec(a_job("b")))

    assert [("".join(sorted(marked)), cost) for marked, cost, _ in case.guard.seen] == [
        ("", 35_000),
        ("F", 0),
    ]


def test_stubs_and_stored_answers_say_nothing_of_the_model():
    case = UseCase()
    case.run(a_spec())
    case.run(a_spec())
    case.run(a_spec(a_job("v", mode="verbatim"), a_job("u", output={"field": "x", "type": "poem"})))
    case.run(a_spec(a_job("s"), allow_ai=None))

    assert len(case.guard.seen) == 1


def test_a_bug_is_seen_though_no_model_was_asked():
    case = UseCase()
    case.steps.claim = None  # a bug

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "INTERNAL_ERROR", "stub")]
    assert [sorted(marked) for marked, *_ in case.guard.seen] == [["F", "U"]]


def test_a_breach_is_reported_and_the_job_keeps_its_answer():
    case = UseCase()
    case.guard.finding = GuardFinding(GuardVerdict.BREACH, "why", tripped=True)

    (result,) = case.run(a_spec())

    assert result["status"] == "COMPLETED"
    assert case.breaches == [case.guard.finding]


def test_an_invalid_event_reaches_the_guard():
    case = UseCase(event_valid=False)

    case.run(a_spec())

    assert [sorted(marked) for marked, *_ in case.guard.seen] == [["I"]]


def test_switched_off_it_is_shown_nothing():
    rules = dataclasses.replace(RULES, mode=GuardMode.OFF)
    monitor = OutcomeMonitor(rules, lambda _: None)
    outcome = Outcome("j", Status.FAILED, ErrorCode.INTERNAL_ERROR, None)

    assert monitor.observation(outcome, JobContext(), event_valid=False) is None
