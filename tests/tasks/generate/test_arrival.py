"""A call ends with its response: what comes of it is booked whatever the brake, the deadline and Redis do."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import ErrorCode, ModelError
from tasks.ports import Claim
from tests.builders import a_job, a_spec, controls
from tests.fakes import clock
from tests.fakes.ports import FakeModel, FakeSteps, answer
from tests.tasks.generate.use_case import UseCase


class Slow:
    """A Redis that takes `seconds` for what books an answer; `begun` is set once it was asked."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.begun = asyncio.Event()
        self.on_begun = lambda: None

    async def wait(self):
        self.begun.set()
        self.on_begun()
        await asyncio.sleep(self.seconds)


class SlowSteps(FakeSteps):
    slow: Slow

    async def arrive(self, arrival):
        await self.slow.wait()
        return await super().arrive(arrival)


def slow_case(seconds, **changes):
    case = UseCase(make_steps=SlowSteps, **changes)
    case.steps.slow = Slow(seconds)
    return case, case.steps.slow


@pytest.mark.parametrize("code", [ErrorCode.KILL_SWITCH, ErrorCode.KILL_UNVERIFIED])
def test_an_answer_that_is_being_kept_is_out_of_the_brakes_reach(code):
    case, slow = slow_case(30)
    slow.on_begun = lambda: case.brake.engage(code)

    case.run(a_spec())

    assert case.outcomes == [("COMPLETED", None, "openai")]
    assert len(case.answers.stored) == 1
    assert (case.budget.spent, case.budget.written_off, case.budget.reservations) == (35_000, 0, {})
    assert case.halts == []


def test_an_answer_is_kept_after_the_jobs_deadline():
    case, _ = slow_case(86_400)

    case.run(a_spec())

    assert case.outcomes == [("COMPLETED", None, "openai")]
    assert (len(case.answers.stored), case.budget.reservations) == (1, {})


def test_a_job_that_is_cancelled_meanwhile_keeps_its_answer_and_goes_back():
    async def scenario():
        case, slow = slow_case(1)
        answering = asyncio.create_task(case.answer(a_spec()))
        await slow.begun.wait()
        for _ in range(3):  # as each of Celery's ways to end a job does
            answering.cancel()
            await clock.idle()
        with pytest.raises(asyncio.CancelledError):
            await answering
        return case

    case = clock.run(scenario())

    assert case.records == []
    assert (len(case.answers.stored), case.budget.reservations, case.claims.holders) == (1, {}, {})
    # Whoever gets it next finds what was paid for.
    case.run(a_spec())
    assert (case.outcomes, len(case.model.requests)) == ([("COMPLETED", None, "stub")], 1)


def test_a_worker_that_ends_waits_for_redis_with_what_was_paid_for():
    async def scenario():
        case, slow = slow_case(86_400)
        answering = asyncio.create_task(case.answer(a_spec()))
        await slow.begun.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        return case

    case = clock.run(scenario())

    assert case.records == []
    assert (len(case.answers.stored), case.budget.reservations, case.claims.holders) == (1, {}, {})


@pytest.mark.parametrize("paid_for", [True, False])
def test_a_worker_that_ends_at_once_waits_for_redis_a_moment_only(paid_for):
    async def scenario():
        script = [answer() if paid_for else ModelError(ErrorCode.OPENAI_BAD_REQUEST, retryable=False)]
        case, slow = slow_case(86_400, model=FakeModel(script))
        answering = asyncio.create_task(case.answer(a_spec()))
        await slow.begun.wait()
        answering.cancel()
        began_mono = clock.now_mono()
        if paid_for:
            # As the end of the loop does, to every task of it.
            for _ in range(3):
                await clock.idle()
                for each in asyncio.all_tasks() - {asyncio.current_task()}:
                    each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        return clock.now_mono() - began_mono, asyncio.all_tasks() - {asyncio.current_task()}

    seconds, left = clock.run(scenario())

    assert seconds <= 4
    assert left == set()


def test_the_models_error_is_settled_out_of_the_brakes_reach_and_tried_again_through_every_gate():
    error = ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True, billed=True)
    case, slow = slow_case(10, model=FakeModel([error, answer()]))

    def halt_in_the_meantime():
        case.brake.engage(ErrorCode.KILL_SWITCH)
        case.controls.current = controls(kill=b"true")

    slow.on_begun = halt_in_the_meantime

    case.run(a_spec())

    assert case.outcomes == [("STUB", "KILL_SWITCH", "openai")]
    assert len(case.model.requests) == 1
    assert case.budget.written_off == case.records[0][4].cost_nano_usd > 1_000_000


def test_an_unusable_answer_is_settled_before_it_is_asked_for_again():
    case, slow = slow_case(10, model=FakeModel([answer(42), answer()]))
    spent = []
    slow.on_begun = lambda: spent.append(len(case.model.requests))

    case.run(a_spec())

    assert case.outcomes == [("COMPLETED", None, "openai")]
    assert spent == [1, 2]


def test_the_brake_reaches_a_job_that_waits_to_try_again():
    error = ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True)
    case = UseCase(model=FakeModel([error, answer()]))

    async def scenario():
        answering = asyncio.create_task(case.answer(a_spec()))
        await clock.idle()
        assert len(case.model.requests) == 1
        case.brake.engage(ErrorCode.KILL_SWITCH)
        await answering

    clock.run(scenario())

    assert case.outcomes == [("STUB", "KILL_SWITCH", "openai")]
    assert len(case.model.requests) == 1


def test_what_was_cut_off_is_recorded_before_redis_takes_its_money_and_its_claim():
    recorded = []
    case, slow = slow_case(86_400)
    slow.on_begun = lambda: recorded.extend(case.outcomes)

    async def pull_the_brake():
        case.brake.engage(ErrorCode.KILL_UNVERIFIED)
        await asyncio.Event().wait()

    case.model.script = [pull_the_brake]

    case.run(a_spec())

    assert recorded == [("STUB", "KILL_UNVERIFIED", "openai")]
    assert (case.budget.reservations, case.claims.holders) == ({}, {})


class HeldElsewhere(FakeSteps):
    """Other workers have all jobs but the first one's, until that one is done."""

    first = ""
    is_done = False

    async def claim(self, key, token, *, despite=b""):
        self.first = self.first or key
        if key != self.first and not self.is_done:
            return Claim(ours=False)
        return await super().claim(key, token, despite=despite)

    def _release(self, key, *, concluded):
        super()._release(key, concluded=concluded)
        self.is_done = True
        for events in self._released.values():
            for event in events:
                event.set()


def test_duplicates_that_wait_hold_no_slot():
    case = UseCase(make_steps=HeldElsewhere)

    # More than there are slots: all but the first wait for others, and only its end frees them.
    case.run(a_spec(*(a_job(f"job-{number}") for number in range(100))))

    assert case.records[0][0] == "job-0"
    assert [status for status, *_ in case.outcomes] == ["COMPLETED"] * 100


def test_a_store_that_does_not_say_whether_there_is_an_answer_is_no_empty_one():
    case = UseCase()
    case.run(a_spec())
    case.claims.available = False

    case.run(a_spec())

    assert case.outcomes[1:] == [("STUB", "KILL_UNVERIFIED", "stub")]
    assert len(case.model.requests) == 1
