"""Redis hangs or refuses as answers arrive: what was paid for is kept, delivered and never paid again."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tasks.generate.shielding import LAST_SECONDS
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import GRACE_SECONDS, LOST_SECONDS, Fleet, fleet, kill
from tests.faults.rig.halting import CALL_SECONDS
from tests.faults.rig.length import in_full
from tests.waiting import eventually
from worker.dev.stack import WorkerProcess

JOBS = in_full(200, short=20)


def in_flight(hurt: Fleet, name: str) -> tuple[list[str], list[str]]:
    """Return the ids of jobs, all of them in flight, and those of their tasks."""
    # One ahead of all: a worker that has just started sends the others once it was not refused.
    assert hurt.statuses(hurt.send(1)) == ["COMPLETED"]
    hurt.fake_openai.behave(Behaviour(delay_seconds=CALL_SECONDS))
    job_ids = [f"{name}-{each}" for each in range(JOBS)]
    task_ids = hurt.send_jobs(job_ids)
    eventually(lambda: hurt.fake_openai.journal.counts().in_flight == JOBS)
    return job_ids, task_ids


def all_arrive(hurt: Fleet) -> None:
    hurt.fake_openai.release()
    eventually(lambda: hurt.fake_openai.journal.counts().in_flight == 0)
    hurt.fake_openai.behave(Behaviour())


def brake_is_unverified(worker: WorkerProcess) -> bool:
    page = f"http://127.0.0.1:{worker.ready['metrics_port']}/metrics"
    with urllib.request.urlopen(page, timeout=60) as answer:
        return b"\nslotgen_brake_unverified 1.0\n" in answer.read()


def settled(hurt: Fleet) -> bool:
    """Whether no money is held, and nobody has a job."""
    return not (hurt.client.hlen("slotgen:budget:holds") or hurt.client.keys("slotgen:claim:*"))


def keeps_its_word(hurt: Fleet, job_ids: list[str], task_ids: list[str], *, killed: bool = False) -> str:
    """Check that every job was answered, kept, settled and paid once; return that in words.

    A worker that was `killed` may not have settled: what it held runs out, and counts as spent.
    """
    assert set(hurt.statuses(task_ids)) == {"COMPLETED"}
    stored = hurt.client.zcard("slotgen:answers") - 1  # the one ahead
    assert stored == JOBS
    if not killed:
        eventually(lambda: settled(hurt), saying="something is still held")
    assert hurt.statuses(hurt.send_jobs(job_ids)) == ["COMPLETED"] * JOBS
    billed = hurt.fake_openai.journal.billed_requests()
    assert (len(billed), set(billed.values())) == (JOBS + 1, {1})
    return f"{JOBS} answered, {stored} stored, {JOBS} paid once, 0 lost, 0 paid twice"


PROMISE = f"{JOBS} answered, {JOBS} stored, 0 lost, 0 paid twice"


@contextmanager
def frozen(hurt: Fleet, worker: WorkerProcess) -> Iterator[None]:
    """For longer than the brake's grace."""
    hurt.server.freeze()
    try:
        yield
        eventually(lambda: brake_is_unverified(worker))
    finally:
        hurt.server.thaw()


@contextmanager
def full(hurt: Fleet, worker: WorkerProcess) -> Iterator[None]:
    """Refuses to write; it can be read, so that the brake stays off."""
    hurt.client.config_set("maxmemory", "1")
    try:
        yield
        assert not brake_is_unverified(worker)
    finally:
        hurt.client.config_set("maxmemory", "0")


@contextmanager
def frozen_and_halted(hurt: Fleet, worker: WorkerProcess) -> Iterator[None]:
    """The kill switch is set while Redis is frozen, which takes it when it goes on."""
    with hurt.client.client() as halting:
        halting.ping()
        with frozen(hurt, worker):
            halting.connection.send_command("SET", "slotgen:kill", "true")
            yield
        assert halting.connection.read_response() == b"OK"
    hurt.lines.wait_for(lambda lines: len(lines.codes) > JOBS, "some jobs have no outcome")
    hurt.open_dials()


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_nobody_takes_over_though_redis_was_frozen_for_longer_than_a_lost_worker_is_silent(saw):
    with fleet() as hurt:
        worker = hurt.start_worker(concurrency=JOBS)
        job_ids, task_ids = in_flight(hurt, "held")
        others = hurt.start_workers(2, concurrency=JOBS)
        frozen_mono = time.monotonic()
        with frozen(hurt, worker):
            all_arrive(hurt)
            eventually(lambda: time.monotonic() > frozen_mono + 3 * LOST_SECONDS)
        # The same jobs, which the others must leave to the one that has their answers.
        duplicates = hurt.send_jobs(job_ids)

        seen = keeps_its_word(hurt, job_ids, [*task_ids, *duplicates])
        for each in (worker, *others):
            each.check()
        assert "lost_worker_found" not in hurt.lines.events
    saw(
        "Redis as answers arrive",
        f"frozen for {3 * LOST_SECONDS} s (lost after {LOST_SECONDS} s); two others get the same jobs",
        seen,
        PROMISE,
    )


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_worker_that_is_killed_once_they_are_kept_leaves_nothing_to_pay_for(saw):
    with fleet() as hurt:
        worker = hurt.start_worker(concurrency=JOBS)
        job_ids, task_ids = in_flight(hurt, "killed")
        with frozen(hurt, worker):
            all_arrive(hurt)
        eventually(lambda: hurt.client.zcard("slotgen:answers") == JOBS + 1)

        kill(worker)
        hurt.start_worker(concurrency=JOBS)

        seen = keeps_its_word(hurt, job_ids, task_ids, killed=True)
    saw(
        "Redis as answers arrive",
        f"frozen as {JOBS} answers arrive, kill -9 of the worker as soon as they are stored",
        seen,
        PROMISE,
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "trouble",
    [frozen, *(pytest.param(each, marks=pytest.mark.thorough) for each in (full, frozen_and_halted))],
)
def test_answers_that_arrive_meanwhile_are_kept_delivered_and_never_paid_again(
    trouble: Callable[[Fleet, WorkerProcess], Iterator[None]], saw
):
    with fleet() as hurt:
        worker = hurt.start_worker(concurrency=JOBS)
        job_ids, task_ids = in_flight(hurt, trouble.__name__)

        with trouble(hurt, worker):
            all_arrive(hurt)

        seen = keeps_its_word(hurt, job_ids, task_ids)
        assert set(hurt.codes_of(task_ids)) == {None}
    saw(
        "Redis as answers arrive",
        f"{trouble.__name__.replace('_', ' ')} as {JOBS} answers arrive, grace {GRACE_SECONDS} s",
        seen,
        PROMISE,
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (
            lambda hurt: hurt.client.config_set("maxmemory", "1"),
            lambda hurt: hurt.client.config_set("maxmemory", "0"),
        ),
        pytest.param(
            lambda hurt: hurt.server.freeze(),
            lambda hurt: hurt.server.thaw(),
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["full", "frozen"],
)
def test_a_worker_that_is_stopped_meanwhile_keeps_them_before_it_ends(begin, end, saw, request):
    with fleet() as hurt:
        worker = hurt.start_worker(concurrency=JOBS, SLOTGEN_SHUTDOWN_GRACE_SECONDS="0")
        job_ids, task_ids = in_flight(hurt, "stopped")
        begin(hurt)
        all_arrive(hurt)

        os.kill(worker.pid, signal.SIGTERM)

        stopped_mono = time.monotonic()
        eventually(lambda: time.monotonic() > stopped_mono + 2 * LAST_SECONDS)
        end(hurt)
        hurt.workers.remove(worker)
        assert worker.stop() == 0
        assert hurt.client.zcard("slotgen:answers") - 1 == JOBS
        hurt.start_worker(concurrency=JOBS)
        seen = keeps_its_word(hurt, job_ids, task_ids)
    saw(
        "Redis as answers arrive",
        f"{request.node.callspec.id}, and SIGTERM, as {JOBS} answers arrive",
        seen,
        PROMISE,
    )


@pytest.mark.thorough
@pytest.mark.timeout(120)
@pytest.mark.parametrize("spoilt", ["of another type", "no JSON"])
def test_a_stored_answer_that_cannot_be_read_is_not_taken_for_none(spoilt, saw):
    with fleet() as hurt:
        hurt.start_worker()
        assert hurt.statuses(hurt.send_jobs(["kept"])) == ["COMPLETED"]
        (key,) = hurt.client.keys("slotgen:answer:*")
        hurt.client.delete(key)
        (hurt.client.set if spoilt == "no JSON" else hurt.client.lpush)(key, "by hand")

        (task_id,) = hurt.send_jobs(["kept"])

        assert hurt.statuses([task_id]) == ["STUB"]
        assert hurt.codes_of([task_id]) == ["KILL_UNVERIFIED"]
        begun = hurt.fake_openai.journal.counts().begun
        assert begun == 1
    saw("unreadable answer", f"the stored answer is {spoilt}", "STUB, KILL_UNVERIFIED", "not paid for again")
