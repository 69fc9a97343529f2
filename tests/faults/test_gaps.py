"""Killed, frozen or without its Redis between any two steps: nothing is lost, paid twice or torn apart."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.gaps import GAPS, IN_FLIGHT, stopping_workers
from tests.faults.rig.length import in_full
from tests.waiting import eventually
from worker.adapters.redis.jobs.history import RedisHistory

# Of seven each.
ROUNDS = in_full(29, short=1)
# So that none that is to be killed looks for what the others held: it would be killed with that.
_PATIENT = {"SLOTGEN_WORKER_LOST_SECONDS": "120"}
# Waking up, it cancels what was in reach of its brake; a job that still waited for its place was not.
_UNBRAKED = {"SLOTGEN_BRAKE_GRACE_SECONDS": "60"}


@pytest.fixture
def hurt() -> Iterator[Fleet]:
    with fleet() as whole:
        whole.client.config_set("appendfsync", "always")
        yield whole


def settle(hurt: Fleet) -> None:
    """Return once nothing is held and nothing waits: what is held may go back to the queue."""
    left = ("slotgen", "slotgen:unacked")
    eventually(lambda: not hurt.client.exists(*left), saying="somebody's message has no end")


def torn(hurt: Fleet, task_ids: Sequence[str]) -> list[str]:
    """Return the tasks that have not one result and one acknowledgement."""
    settle(hurt)
    stored = Counter(each for each in task_ids if hurt.client.exists(f"celery-task-meta-{each}"))
    # The history is written with the acknowledgement, and only with it.
    outcomes = RedisHistory(hurt.client, "slotgen").since(0, 10**6)
    ended = Counter(each.task_id for each in outcomes)
    return [each for each in task_ids if (stored[each], ended[each]) != (1, 1)]


def requests_by_number(hurt: Fleet) -> Counter[int]:
    """Return how many jobs the model was paid for once, twice and so on."""
    return Counter(hurt.fake_openai.journal.billed_requests().values())


@pytest.mark.thorough
@pytest.mark.timeout(in_full(3000, short=180))
def test_a_worker_killed_between_any_two_steps_loses_nothing_and_pays_for_nothing_stored_again(hurt, saw):
    task_ids: list[str] = []
    for _ in range(ROUNDS):
        doomed = stopping_workers(hurt, len(GAPS), **_PATIENT)
        for each, gap in zip(doomed, GAPS, strict=True):
            each.stop_at(gap, signal.SIGKILL)
        sent = hurt.send(len(GAPS))
        for each in doomed:
            eventually(partial(each.is_in, ""), saying="one was not killed")
        finisher = hurt.start_worker()
        assert hurt.statuses(sent) == ["COMPLETED"] * len(GAPS)
        task_ids += sent
        finisher.stop()

    torn_apart, paid = torn(hurt, task_ids), requests_by_number(hurt)
    kills = ROUNDS * len(GAPS)
    saw(
        "worker killed",
        f"{kills} x kill -9, {ROUNDS} x at each of the {len(GAPS)} gaps between the steps of its job",
        f"{len(task_ids)} COMPLETED, 0 lost; {paid[2]} extra requests, of {ROUNDS} that were answered and not"
        f" stored at the kill; {len(torn_apart)} torn",
        "0 lost; extra requests only of those in flight; 0 torn",
    )
    assert torn_apart == []
    # What was answered and not stored is asked for again; nothing else is.
    assert paid == {1: kills - ROUNDS, 2: ROUNDS}
    assert hurt.fake_openai.journal.counts().begun == kills + ROUNDS
    assert hurt.client.keys("slotgen:claim:*") == []


@pytest.mark.thorough
@pytest.mark.timeout(in_full(3000, short=180))
def test_redis_killed_between_any_two_steps_loses_nothing_and_nothing_is_paid_twice(hurt, saw):
    task_ids: list[str] = []
    for gap in GAPS * ROUNDS:
        # Another one each time: none is still at the end of an earlier job.
        (stopping,) = stopping_workers(hurt, 1)
        stopping.stop_at(gap, signal.SIGKILL, hurt.server.pid)
        task_ids += hurt.send(1)
        eventually(lambda: not hurt.server.running, saying=f"Redis was not killed at {gap}")
        hurt.server.restart()
        hurt.outcome(task_ids[-1])
        settle(hurt)
        assert stopping.worker.stop() == 0

    statuses = Counter(hurt.statuses(task_ids))
    torn_apart, paid = torn(hurt, task_ids), requests_by_number(hurt)
    saw(
        "Redis killed",
        f"{len(task_ids)} x kill -9 (AOF, fsync always), {ROUNDS} x at each of the {len(GAPS)} gaps",
        f"{statuses['COMPLETED']} COMPLETED, {statuses['STUB']} STUB, 0 lost; {paid[2]} paid twice;"
        f" {len(torn_apart)} torn",
        "0 lost, 0 paid twice, 0 torn",
    )
    assert set(statuses) <= {"COMPLETED", "STUB"}
    assert torn_apart == []
    assert paid.keys() == {1}


@pytest.mark.thorough
@pytest.mark.timeout(in_full(3000, short=180))
def test_two_workers_on_one_message_at_any_step_pay_once_and_tear_nothing(hurt, saw):
    task_ids: list[str] = []
    for _ in range(ROUNDS):
        frozen = stopping_workers(hurt, len(GAPS), **_PATIENT, **_UNBRAKED)
        for each, gap in zip(frozen, GAPS, strict=True):
            each.stop_at(gap, signal.SIGSTOP)
        sent = hurt.send(len(GAPS))
        for each in frozen:
            eventually(partial(each.is_in, "T"), saying="one was not frozen")
        # To it they are lost once it has not heard them for long; their messages come back.
        finisher = hurt.start_worker()
        assert hurt.statuses(sent) == ["COMPLETED"] * len(GAPS)
        hurt.wait_until_nothing_is_held()
        for each in frozen:
            os.kill(each.worker.pid, signal.SIGCONT)
        for each in frozen:
            assert each.worker.stop() == 0  # after the end of what it has in hand
        finisher.stop()
        task_ids += sent

    torn_apart, paid = torn(hurt, task_ids), requests_by_number(hurt)
    freezes, may_be_twice = ROUNDS * len(GAPS), ROUNDS * len(IN_FLIGHT)
    saw(
        "two workers on one message",
        f"{freezes} x frozen, {ROUNDS} x at each of the {len(GAPS)} gaps, until another had answered; thawed",
        f"{len(task_ids)} COMPLETED, 0 lost; {paid[2]} extra requests, of {may_be_twice} that had departed;"
        f" {len(torn_apart)} torn",
        "0 lost; extra requests only of those in flight; 0 torn",
    )
    assert torn_apart == []
    assert paid.keys() <= {1, 2}
    # What had departed may have been answered: only that is asked for by the other one as well.
    assert ROUNDS <= paid[2] <= may_be_twice
