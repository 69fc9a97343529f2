"""Tasks run on one loop, their ends reach Celery as it knows them, and stopping loses none of them."""

from __future__ import annotations

import asyncio
import itertools
import threading
from dataclasses import dataclass, field

import pytest
from celery import Celery
from celery.exceptions import Ignore, Reject

from tasks.delivery import Answer
from tests.fakes import clock
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.job_loop import JobLoop
from worker.adapters.celery.pool import JobLoopPool
from worker.adapters.redis.jobs.history import OutcomeEntries

WAIT_SECONDS = 10
TAGS = itertools.count()


@dataclass
class FakeResults:
    """Ends of tasks, finished once `takes` is set."""

    stored: list[tuple[str, object]] = field(default_factory=list)
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    in_hand: InHand = field(default_factory=lambda: InHand("w"))
    outcomes: OutcomeEntries = field(default_factory=OutcomeEntries)

    async def finish(self, request, result, answer=None):
        await self.takes.wait()
        self.stored.append((request.id, result))


@dataclass
class Call:
    """What Celery's Request hands to a pool, and what it is told."""

    pool: JobLoopPool
    accepted: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    end: tuple[int, object, float] | None = None

    def apply(self, name, spec):
        tag = f"w:{next(TAGS)}"
        self.pool.results.in_hand.specs[tag] = spec
        traced = (name, "task-1", {"id": "task-1", "properties": {"delivery_tag": tag}}, b"", "", "")
        self.pool.apply_async(
            None, traced, callback=self.finish, accept_callback=lambda *_: self.accepted.set()
        )
        return self

    def finish(self, end):
        self.end = end
        self.ended.set()

    def failure(self):
        assert self.ended.wait(WAIT_SECONDS)
        failed, info, _ = self.end
        assert failed
        return info.exception.exc


@pytest.fixture
def app():
    made = Celery("test", broker="memory://", backend="cache+memory://", set_as_current=False)

    @made.task(name="echo", shared=False)
    async def echo(request, spec):
        return Answer([request.id, spec], {})

    @made.task(name="ignores", shared=False)
    async def ignores(request, spec):
        raise Ignore

    @made.task(name="breaks", shared=False)
    async def breaks(request, spec):
        raise ZeroDivisionError

    @made.task(name="waits", shared=False)
    async def waits(request, spec):
        await asyncio.Event().wait()

    yield made
    made.close()


@pytest.fixture
def loop():
    running = JobLoop()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def pool(app, loop):
    made = JobLoopPool.on(loop, FakeResults())(4, app=app)
    made.results.takes.set()
    made.start()
    return made


def test_what_a_task_returns_is_stored_before_celery_is_told(pool):
    call = Call(pool).apply("echo", {"a": "é"})

    assert call.ended.wait(WAIT_SECONDS)
    assert call.accepted.is_set()
    assert call.end[0] == 0
    assert pool.results.stored == [("task-1", ["task-1", {"a": "é"}])]


def test_a_task_that_ignores_itself_has_no_result(pool):
    assert isinstance(Call(pool).apply("ignores", 1).failure(), Ignore)
    assert pool.results.stored == []


def test_a_task_that_breaks_is_a_failure_for_whoever_waits_and_told_to_the_log(pool, caplog):
    assert isinstance(Call(pool).apply("breaks", 1).failure(), ZeroDivisionError)

    ((task_id, error),) = pool.results.stored
    assert (task_id, type(error)) == ("task-1", ZeroDivisionError)
    assert "task_broke" in [record.message for record in caplog.records]


async def cancelled_while_its_result_is_stored(app, task):
    """Return the pool and the call of a task of which nothing is left but that its result is stored."""
    loop = JobLoop(asyncio.get_running_loop())
    pool = JobLoopPool.on(loop, FakeResults())(4, app=app)
    pool.start()
    call = Call(pool).apply(task, 1)
    await clock.idle()
    loop.cancel_jobs()
    await asyncio.sleep(1.9)
    assert not call.ended.is_set()
    return pool, call


@pytest.mark.parametrize(("task", "error"), [("echo", type(None)), ("breaks", ZeroDivisionError)])
def test_a_result_that_is_being_stored_at_the_end_is_told_as_done(app, task, error):
    async def scenario():
        pool, call = await cancelled_while_its_result_is_stored(app, task)

        pool.results.takes.set()
        await clock.idle()

        assert call.ended.is_set()
        assert len(pool.results.stored) == 1
        return call.end

    _, info, _ = clock.run(scenario())
    assert type(info and info.exception.exc) is error


@pytest.mark.parametrize("task", ["echo", "breaks"])
def test_a_result_that_cannot_be_stored_at_the_end_sends_its_message_back(app, task):
    async def scenario():
        pool, call = await cancelled_while_its_result_is_stored(app, task)

        await asyncio.sleep(0.2)

        assert call.ended.is_set()
        assert isinstance(call.failure(), Reject)
        assert pool.results.stored == []

    clock.run(scenario())


def test_a_task_that_is_cancelled_before_its_first_step_is_told_as_well(pool, loop):
    calls = [Call(pool) for _ in range(50)]

    async def at_once():
        for call in calls:
            call.apply("waits", 1)
        loop.cancel_jobs()

    loop.run(at_once())

    assert {type(call.failure()) for call in calls} == {Reject}


@pytest.mark.parametrize("cancel", ["terminate", "terminate_job", "cancel_jobs"])
def test_what_is_cancelled_goes_back_to_the_queue(pool, loop, cancel):
    call = Call(pool).apply("waits", 1)
    assert call.accepted.wait(WAIT_SECONDS)

    {"terminate": pool.terminate, "cancel_jobs": loop.cancel_jobs}.get(
        cancel, lambda: pool.terminate_job(1, "KILL")
    )()

    refusal = call.failure()
    assert isinstance(refusal, Reject)
    assert refusal.requeue
    assert pool.results.stored == []


def test_stopping_waits_for_what_has_begun(pool, monkeypatch):
    all_ended = JobLoop._all_ended

    async def let_go_once_waited_for(loop):
        pool.results.takes.set()
        await all_ended(loop)

    monkeypatch.setattr(JobLoop, "_all_ended", let_go_once_waited_for)
    pool.results.takes.clear()
    calls = [Call(pool).apply("echo", each) for each in range(5)]

    pool.stop()

    assert all(call.ended.is_set() for call in calls)


def test_hundreds_of_waiting_tasks_need_no_thread_of_their_own(pool):
    before = threading.active_count()
    calls = [Call(pool).apply("waits", each) for each in range(300)]
    assert all(call.accepted.wait(WAIT_SECONDS) for call in calls)

    assert threading.active_count() <= before
    pool.terminate()
    assert all(call.ended.wait(WAIT_SECONDS) for call in calls)


def test_a_callback_that_breaks_is_told_and_the_loop_lives_on(pool, caplog):
    call = Call(pool)
    call.finish = lambda _end: 1 / 0
    call.apply("echo", 1)

    assert Call(pool).apply("echo", 2).ended.wait(WAIT_SECONDS)
    pool.stop()  # both have begun, and may be at their ends at once
    assert "job_lost" in [record.message for record in caplog.records]
