"""Whatever dies, no job is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter

import pytest

from tests.builders import a_message, a_spec
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import LOST_SECONDS, Fleet, fleet, kill
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.sweeps import await_sweeps, hide_signs_of_life
from tests.waiting import eventually

CONCURRENCY = 50
# A worker looks for the lost three times in the seconds after which it counts as lost.
BACK_AFTER_SECONDS = 2 * LOST_SECONDS


def taken_for_lost(hurt: Fleet) -> list[str]:
    """The workers that another one took for lost, and whose messages it brought back."""
    return [line["worker_id"] for line in hurt.lines if line["event"] == "lost_worker_found"]


@pytest.mark.timeout(120)
def test_a_killed_workers_jobs_come_back_within_seconds(saw):
    with fleet() as hurt:
        hurt.fake_openai.behave(Behaviour(delay_seconds=60))
        first = hurt.start_worker()
        pending = hurt.send(20)
        hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 20, 60)
        kill(first)
        hurt.fake_openai.behave(Behaviour())
        began_mono = time.monotonic()
        hurt.start_worker()

        assert set(hurt.statuses(pending)) == {"COMPLETED"}
        seconds = time.monotonic() - began_mono
        hurt.wait_until_nothing_is_held()
        saw(
            "worker killed",
            f"kill -9 with 20 calls in flight; lost after {LOST_SECONDS} s of silence",
            f"20 of 20 COMPLETED by another worker after {seconds:.1f} s, its start included",
            f"0 lost; <= {BACK_AFTER_SECONDS} s: {verdict(seconds, BACK_AFTER_SECONDS)}",
        )
        # Far below the visibility timeout of hours.
        within(seconds, BACK_AFTER_SECONDS)


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_message_that_keeps_killing_its_workers_is_buried_and_its_producer_told(hurt, saw):
    task_id = "poison-1"
    message = a_message(a_spec(), task_id=task_id)
    message["headers"]["slotgen_deaths"] = 4
    begun = hurt.fake_openai.journal.counts().begun
    hurt.client.hset("slotgen:unacked", "dead-worker:tag", json.dumps([message, "", "slotgen"]))
    hurt.client.zadd("slotgen:unacked_index", {"dead-worker:tag": time.time()})
    hurt.client.zadd("slotgen:workers", {"dead-worker": 1})

    outcome = hurt.outcome(task_id)

    assert outcome["status"] == "FAILURE"
    assert "it is kept" in outcome["result"]["exc_message"][0]
    ((_, entry),) = hurt.client.xrange("slotgen:dead")
    assert entry[b"reason"] == b"killed_its_workers"
    assert json.loads(entry[b"message"])["headers"]["slotgen_deaths"] == 5
    assert hurt.client.hlen("slotgen:unacked") == 0
    assert hurt.fake_openai.journal.counts().begun == begun
    saw(
        "poison message",
        "a message that four workers have died with, and a fifth",
        "in the dead letters, its producer told; 0 requests",
        "ends after 5 deaths",
    )


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_nobody_is_taken_for_lost_because_redis_was_frozen(hurt, saw):
    (worker_id,) = hurt.client.zrange("slotgen:workers", 0, -1)
    hurt.fake_openai.behave(Behaviour(delay_seconds=60))
    sent = hurt.send(5)
    hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 5, 60)

    # As it looks right after: the last sign is older than a lost worker's, the worker itself works on.
    hide_signs_of_life(hurt, worker_id.decode(), until_sweeps=3)

    hurt.client.set("slotgen:kill", "true")
    assert set(hurt.statuses(sent)) == {"STUB"}
    assert worker_id.decode() not in taken_for_lost(hurt)
    saw("Redis frozen", "a worker's last sign was older than a lost one's", "not taken for lost", "0 lost")


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_what_redis_handed_to_a_connection_that_is_gone_comes_back(hurt, saw):
    """A frozen Redis that wakes up finds the old request first, and hands the next message to nobody."""
    (worker_id,) = hurt.client.zrange("slotgen:workers", 0, -1)
    for each in hurt.client.client_list():
        if each["cmd"] == "blmove":
            hurt.client.client_kill_filter(_id=each["id"])
    # The new connection has found what was held by then.
    assert hurt.statuses(hurt.send(1)) == ["COMPLETED"]
    tag, task_id = f"{worker_id.decode()}:late", "forgotten-1"
    raw = json.dumps(a_message(a_spec(), task_id=task_id))
    hurt.client.hset("slotgen:unacked", tag, json.dumps([raw, "", "slotgen"]))
    hurt.client.zadd("slotgen:unacked_index", {tag: time.time()})
    began_mono = time.monotonic()

    others = hurt.send(5)

    assert hurt.statuses([*others, task_id]) == ["COMPLETED"] * 6
    assert hurt.client.hexists("slotgen:unacked", tag) == 0
    saw(
        "Redis frozen",
        "a message handed to a connection that was gone",
        f"answered after {time.monotonic() - began_mono:.1f} s, and those after it",
        "0 lost",
    )


@pytest.mark.timeout(180)
def test_a_redis_that_is_killed_and_restarted_loses_nothing(saw):
    with fleet() as hurt:
        hurt.client.config_set("appendfsync", "always")
        hurt.fake_openai.behave(Behaviour(delay_seconds=0.1))
        hurt.start_worker(concurrency=20)
        pending = hurt.send(200)
        hurt.fake_openai.journal.wait_until(lambda counts: counts.completed >= 40, 60)

        hurt.server.kill()
        hurt.server.restart()

        statuses = Counter(hurt.statuses(pending))
        assert set(statuses) <= {"COMPLETED", "STUB"}
        hurt.wait_until_nothing_is_held()
        assert hurt.client.llen("slotgen") == 0
        # Answers that had come when Redis was away were kept until it was back: nothing is paid for twice.
        assert max(hurt.fake_openai.journal.billed_requests().values()) == 1
        saw(
            "Redis killed",
            "kill -9 of Redis (AOF, fsync always) under 200 jobs, restarted at once",
            f"{statuses['COMPLETED']} COMPLETED, {statuses['STUB']} STUB; none billed twice",
            "200 results, 0 paid twice",
        )


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_message_delivered_twice_at_once_is_generated_once(saw):
    with fleet() as hurt:
        hurt.fake_openai.behave(Behaviour(delay_seconds=60))
        hurt.start_workers(2)
        message = json.dumps(a_message(a_spec(), task_id="twice"))
        for _ in range(10):
            hurt.client.lpush("slotgen", message)
        # All of them are taken before the first is answered.
        eventually(lambda: hurt.client.hlen("slotgen:unacked") == 10)
        hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, 60)
        hurt.fake_openai.release()

        assert hurt.statuses(["twice"]) == ["COMPLETED"]
        assert hurt.lines.wait_for(lambda lines: lines.codes if len(lines.codes) == 10 else []) == [None] * 10
        assert hurt.fake_openai.journal.counts().begun == 1
        assert hurt.client.keys("slotgen:claim:*") == []
        assert hurt.client.keys("slotgen:ledger:*") == []
        saw(
            "duplicated message",
            "one message 10 times on the queue, two workers racing for it",
            "10 outcomes COMPLETED, 1 request",
            "1 request",
        )


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_call_that_a_worker_died_with_stays_visible_in_the_ledger(saw):
    with fleet() as hurt:
        hurt.fake_openai.behave(Behaviour(delay_seconds=60))
        worker = hurt.start_worker()
        hurt.send(5)
        hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 5, 60)

        kill(worker)

        assert hurt.client.mget(hurt.client.keys("slotgen:ledger:*")) == [b"1"] * 5
        saw("worker killed", "kill -9 with 5 calls in flight", "5 of 5 calls in the ledger", "each of them")


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_worker_that_finishes_before_it_stops_is_not_taken_for_lost(saw):
    with fleet() as hurt:
        hurt.fake_openai.behave(Behaviour(delay_seconds=60))
        stopping = hurt.start_worker()
        (stopping_id,) = hurt.client.zrange("slotgen:workers", 0, -1)
        task_ids = hurt.send(5)
        hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 5, 60)
        hurt.start_worker()
        (other_id,) = set(hurt.client.zrange("slotgen:workers", 0, -1)) - {stopping_id}

        os.kill(stopping.pid, signal.SIGTERM)
        hurt.lines.wait_for(lambda lines: "worker_stopping" in lines.events)
        # One a second, for longer than the silence after which a worker is lost.
        await_sweeps(hurt, other_id.decode(), LOST_SECONDS + 2)
        hurt.fake_openai.release()
        assert stopping.stop() == 0

        assert hurt.statuses(task_ids) == ["COMPLETED"] * 5
        assert hurt.fake_openai.journal.counts().begun == 5
        assert taken_for_lost(hurt) == []
        saw(
            "warm shutdown",
            f"SIGTERM with 5 calls in flight that end {LOST_SECONDS + 2} s later, another worker beside it",
            "5 of 5 COMPLETED by the one that stops, exit 0, 5 requests",
            "no job taken over, 5 requests",
        )
