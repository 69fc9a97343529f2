"""The use case: one recorded outcome and one result for each job, whatever happens to it."""

from __future__ import annotations

import asyncio
import json

import pytest

import schemas
from tasks.errors import ErrorCode, ModelError, Status
from tests.builders import a_job, a_rule, a_spec, an_allowlist, controls
from tests.fakes import clock
from tests.fakes.ports import FakeControls, FakeModel, FakeSteps, answer
from tests.tasks.generate.use_case import UseCase


def test_answers_an_admitted_job_with_content_of_its_type():
    case = UseCase()

    (result,) = case.run(a_spec(a_job("job-1", output={"field": "intro", "type": "text"})))

    assert schemas.violations("result.v1", result) == []
    assert result["output"] == {"intro": "A cell has a membrane."}
    assert case.outcomes == [("COMPLETED", None, "openai")]


@pytest.mark.parametrize(
    ("dials", "code"),
    [
        ({"kill": b"true"}, "KILL_SWITCH"),
        ({"kill": b"0"}, "KILL_SWITCH"),
        ({"kill": None}, "KILL_UNVERIFIED"),
        ({"feature": b"TRUE"}, "FEATURE_DISABLED"),
        ({"allowlist": None}, "NOT_ALLOWLISTED"),
        ({"rollout_percent": b"0"}, "ROLLOUT_EXCLUDED"),
    ],
)
def test_answers_a_stub_that_says_which_gate_said_no(dials, code):
    case = UseCase(controls=FakeControls(controls(**dials)))

    (result,) = case.run(a_spec())

    assert schemas.violations("result.v1", result) == []
    assert (result["status"], result["output"]) == ("STUB", None)
    assert case.outcomes == [("STUB", code, "stub")]
    assert case.model.requests == []
    assert [decision.reason for decision in case.decisions] == [code]


@pytest.mark.parametrize("allow_ai", [None, False])
def test_only_true_opts_in(allow_ai):
    case = UseCase()

    case.run(a_spec(allow_ai=allow_ai))

    assert case.outcomes == [("STUB", "NOT_OPTED_IN", "stub")]


def test_never_sends_verbatim_text_to_a_model():
    case = UseCase()

    case.run(a_spec(a_job(mode="verbatim")))

    assert case.outcomes == [("STUB", "VERBATIM_MODE", "stub")]
    assert case.model.requests == []


def test_a_gate_is_asked_before_the_mode():
    case = UseCase(controls=FakeControls(controls(kill=b"true")))

    case.run(a_spec(a_job(mode="verbatim")))

    assert case.outcomes == [("STUB", "KILL_SWITCH", "stub")]


def test_stubs_the_jobs_of_a_spec_beyond_the_rules_run_limit():
    dials = controls(allowlist=an_allowlist(a_rule(maxJobsPerRun=2)).encode())
    case = UseCase(controls=FakeControls(dials))
    verbatim = a_job("job-0", mode="verbatim")

    results = case.run(a_spec(verbatim, *(a_job(f"job-{each}") for each in range(1, 5))))

    assert [result["status"] for result in results] == ["STUB", "COMPLETED", "COMPLETED", "STUB", "STUB"]
    assert sorted(record[2] or "" for record in case.records) == [
        "",
        "",
        "RUN_LIMIT",
        "RUN_LIMIT",
        "VERBATIM_MODE",
    ]


def test_counts_the_run_limit_for_each_rule_and_each_spec_alone():
    rules = [a_rule("quiz", kinds=["assessment"], maxJobsPerRun=1), a_rule("rest", maxJobsPerRun=1)]
    case = UseCase(controls=FakeControls(controls(allowlist=an_allowlist(*rules).encode())))
    spec = a_spec(a_job("job-1", kind="assessment"), a_job("job-2"))

    first, second = case.run(spec), case.run(spec)

    assert [result["status"] for result in first + second] == ["COMPLETED"] * 4


def test_fails_an_unknown_output_type_and_spends_nothing():
    case = UseCase()

    (result,) = case.run(a_spec(a_job(output={"field": "body", "type": "hologram"})))

    assert (result["status"], result["output"]) == ("FAILED", None)
    assert case.outcomes == [("FAILED", "UNSUPPORTED_OUTPUT_TYPE", "stub")]
    assert case.model.requests == []


def test_fails_without_an_api_key():
    case = UseCase(has_api_key=False)

    case.run(a_spec())

    assert case.outcomes == [("FAILED", "MISSING_API_KEY", "stub")]


def test_returns_results_in_the_order_of_the_jobs():
    case = UseCase(model=FakeModel([ModelError(ErrorCode.OPENAI_BAD_REQUEST), answer(), answer()]))
    jobs = [a_job("a"), a_job("b", mode="verbatim"), a_job("c")]

    results = case.run(a_spec(*jobs))

    assert [result["jobId"] for result in results] == ["a", "b", "c"]
    assert len(case.records) == 3


def test_reads_the_dials_afresh_for_every_job():
    case = UseCase(controls=FakeControls(controls()))

    def shut_after_the_first(reads: int) -> None:
        if reads == 2:
            case.controls.current = controls(kill=b"true")

    case.controls.on_read = shut_after_the_first

    case.run(a_spec(a_job("a"), a_job("b", mode="verbatim"), a_job("c", mode="verbatim")))

    # a was admitted, then its own read right before the request saw the brake.
    assert [record[2] for record in sorted(case.records)] == ["KILL_SWITCH", "KILL_SWITCH", "KILL_SWITCH"]


def test_an_unknown_error_is_a_bug_that_still_gets_an_answer():
    case = UseCase(model=FakeModel([ZeroDivisionError("pupil text")]))

    results = case.run(a_spec(a_job("a"), a_job("b", mode="verbatim")))

    assert [result["status"] for result in results] == ["FAILED", "STUB"]
    assert ("FAILED", "INTERNAL_ERROR", "openai") in case.outcomes
    assert [type(bug) for bug in case.bugs] == [ZeroDivisionError]


class BreaksOnce(list):
    def append(self, decision):
        super().append(decision)
        if len(self) == 1:
            raise RuntimeError("boom")


def test_one_broken_job_does_not_take_its_spec_along():
    case = UseCase(decisions=BreaksOnce())

    results = case.run(a_spec(a_job("a"), a_job("b")))

    assert [result["status"] for result in results] == ["FAILED", "COMPLETED"]
    assert [type(error) for error in case.bugs] == [RuntimeError]


def test_the_vocabulary_is_the_telemetry_schemas():
    text = json.dumps(schemas.load("telemetry.v1"))

    assert all(f'"{code.value}"' in text for code in ErrorCode)
    assert {status.value for status in Status} == {"STUB", "COMPLETED", "FAILED"}


def held_until(event, number):
    """A model that answers the first `number` requests at once, and the others after `event`."""

    async def wait():
        await event.wait()
        return answer()

    return FakeModel([*([answer()] * number), wait])


def test_tells_how_many_of_several_jobs_are_done_and_only_when_that_changes():
    async def scenario():
        told = asyncio.Event()
        case = UseCase(model=held_until(told, 1), on_progress=told.set)
        await case.answer(a_spec(a_job("a"), a_job("b"), a_job("c", mode="verbatim")))
        return case.progress

    # The one that waits was released by the word of the two others; nothing is told once all are done.
    assert clock.run(scenario()) == [("task-1", 2, 3)]


def test_does_not_tell_the_same_twice():
    async def scenario():
        held, told = asyncio.Event(), asyncio.Event()
        case = UseCase(model=held_until(held, 1), on_progress=told.set)
        answering = asyncio.create_task(case.answer(a_spec(a_job("a"), a_job("b"))))
        await told.wait()
        await asyncio.sleep(5)  # it tells each second when there is something to tell
        held.set()
        await answering
        return case.progress

    assert clock.run(scenario()) == [("task-1", 1, 2)]


def test_one_job_has_no_progress_to_tell():
    async def scenario():
        held = asyncio.Event()
        case = UseCase(model=held_until(held, 0))
        answering = asyncio.create_task(case.answer(a_spec()))
        await asyncio.sleep(5)
        held.set()
        await answering
        return case.progress

    assert clock.run(scenario()) == []


def test_every_job_of_a_spec_is_decided_by_a_read_of_its_own():
    case = UseCase(controls=FakeControls(controls(kill=b"true")))

    case.run(a_spec(*(a_job(f"job-{each}") for each in range(5))))

    assert case.controls.reads == 5


def test_a_dial_that_changes_between_two_specs_decides_the_second():
    dials = FakeControls(controls())
    case = UseCase(controls=dials)

    first = case.run(a_spec(a_job("a")))
    dials.current = controls(kill=b"true")
    second = case.run(a_spec(a_job("b")))

    assert [result["status"] for result in first + second] == ["COMPLETED", "STUB"]


class BreaksOnceSteps(FakeSteps):
    """Breaks beside the outcome of the first job, which it has nothing to do with."""

    async def arrive(self, arrival):
        arrived = await super().arrive(arrival)
        if len(self.guard.seen) == 1:
            raise ZeroDivisionError
        return arrived


def test_a_bug_beside_one_job_leaves_the_others_complete():
    async def scenario():
        first_broke = asyncio.Event()
        # They are in flight while the first one breaks.
        case = UseCase(model=held_until(first_broke, 1), make_steps=BreaksOnceSteps)
        case.bugs = NotedBugs(first_broke)
        results = await case.answer(a_spec(*(a_job(each) for each in "abcd")))
        return case, results

    case, results = clock.run(scenario())

    assert [result["status"] for result in results] == ["COMPLETED"] * 4
    assert sorted(record[0] for record in case.records) == ["a", "b", "c", "d"]
    assert [type(bug) for bug in case.bugs] == [ZeroDivisionError]
    assert len(case.answers.stored) == len(case.model.requests) == 4
    assert (case.claims.holders, case.budget.reservations) == ({}, {})


class NotedBugs(list):
    def __init__(self, noted):
        super().__init__()
        self.noted = noted

    def append(self, bug):
        super().append(bug)
        self.noted.set()


def test_a_record_that_breaks_costs_no_answer():
    case = UseCase(records=BreaksOnce())

    results = case.run(a_spec(a_job("a"), a_job("b")))

    assert [result["status"] for result in results] == ["COMPLETED"] * 2
    assert [type(bug) for bug in case.bugs] == [RuntimeError]
    assert len(case.records) == 2


def test_a_spec_that_is_cancelled_leaves_no_job_behind():
    async def scenario():
        case = UseCase(model=held_until(asyncio.Event(), 1))
        answering = asyncio.create_task(case.answer(a_spec(*(a_job(each) for each in "abcd"))))
        await clock.idle()
        await asyncio.sleep(2)  # all of them are in flight: the first has shown that there is room
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        return case, asyncio.all_tasks() - {asyncio.current_task()}

    case, left = clock.run(scenario())

    assert left == set()
    assert (len(case.model.requests), case.model.cancelled) == (4, 3)
    assert [record[0] for record in case.records] == ["a"]
    assert (case.claims.holders, case.budget.reservations) == ({}, {})
    assert list(case.claims.attempts.values()) == [1, 1, 1]


def test_a_spec_whose_job_is_cancelled_by_what_it_waits_for_goes_back():
    case = UseCase(model=FakeModel([asyncio.CancelledError(), answer()]))

    with pytest.raises(asyncio.CancelledError):
        case.run(a_spec(a_job("a"), a_job("b")))

    assert [record[0] for record in case.records] == ["b"]


def test_each_step_says_how_long_it_took():
    case = UseCase()

    case.run(a_spec(a_job("a")))
    case.run(a_spec(a_job("b"), allow_ai=None))

    assert [list(record[4].took_ms) for record in case.records] == [
        ["decide", "claim", "depart", "request", "judge", "arrive"],
        ["decide"],
    ]
    assert all(ms >= 0 for record in case.records for ms in record[4].took_ms.values())
