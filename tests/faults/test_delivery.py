"""Whatever dies, no job is lost."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests.builders import a_message, a_spec
from tests.faults.fleet import LOST_SECONDS, fleet, kill
from worker.dev.openai_stand_in import Behaviour


@pytest.mark.timeout(120)
def test_a_killed_workers_jobs_come_back_within_seconds():
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=60))
        first = hurt.start_worker()
        pending = hurt.send(20)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 20, 20)
        kill(first)
        hurt.stand_in.behave(Behaviour())
        began = time.monotonic()
        hurt.start_worker()

        assert set(hurt.statuses(pending)) == {"COMPLETED"}
        # Far below the visibility timeout of an hour.
        assert time.monotonic() - began < LOST_SECONDS * 2 + 10
        assert hurt.client.hlen("slotgen:unacked") == 0


@pytest.mark.timeout(180)
def test_kills_at_random_moments_lose_nothing():
    chance = random.Random(4711)
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=0.05))
        pending = hurt.send(300)
        asked_again = 0
        for _ in range(3):
            worker = hurt.start_worker(concurrency=20)
            goal = hurt.stand_in.journal.counts().completed + chance.randint(20, 60)
            hurt.stand_in.journal.wait_until(lambda counts, goal=goal: counts.completed >= goal, 30)
            kill(worker)
            asked_again += 20
        hurt.start_worker(concurrency=50)

        assert hurt.statuses(pending) == ["COMPLETED"] * 300
        # Only what was in flight at a kill, or not yet acknowledged, may have been asked twice.
        assert hurt.stand_in.journal.counts().begun <= 300 + 2 * asked_again


@pytest.mark.timeout(120)
def test_a_message_that_keeps_killing_its_workers_is_buried_and_its_producer_told():
    with fleet() as hurt:
        task_id = "poison-1"
        message = a_message(a_spec(), task_id=task_id)
        message["headers"]["slotgen_deaths"] = 4
        hurt.client.zadd("slotgen:workers", {"dead-worker": 1})
        hurt.client.hset("slotgen:unacked", "dead-worker:tag", json.dumps([message, "", "slotgen"]))
        hurt.client.zadd("slotgen:unacked_index", {"dead-worker:tag": time.time()})
        hurt.start_worker()

        outcome = hurt.outcome(task_id)
        assert outcome["status"] == "FAILURE"
        assert "it is kept" in outcome["result"]["exc_message"][0]
        ((_, entry),) = hurt.client.xrange("slotgen:dead")
        assert entry[b"reason"] == b"killed_its_workers"
        assert json.loads(entry[b"message"])["headers"]["slotgen_deaths"] == 5
        assert hurt.client.hlen("slotgen:unacked") == 0
        assert hurt.stand_in.journal.counts().begun == 0


@pytest.mark.timeout(120)
def test_what_a_worker_had_just_taken_comes_back():
    with fleet() as hurt:
        task_id = "taken-1"
        hurt.client.zadd("slotgen:workers", {"dead-worker": 1})
        hurt.client.lpush("slotgen:taking:dead-worker", json.dumps(a_message(a_spec(), task_id=task_id)))
        hurt.start_worker()

        assert hurt.statuses([task_id]) == ["COMPLETED"]
        assert hurt.client.exists("slotgen:taking:dead-worker") == 0
        assert b"dead-worker" not in hurt.client.zrange("slotgen:workers", 0, -1)


@pytest.mark.timeout(180)
def test_a_redis_that_is_killed_and_restarted_loses_nothing():
    with fleet() as hurt:
        hurt.client.config_set("appendfsync", "always")
        hurt.stand_in.behave(Behaviour(delay_seconds=0.1))
        hurt.start_worker(concurrency=20)
        pending = hurt.send(200)
        hurt.stand_in.journal.wait_until(lambda counts: counts.completed >= 40, 30)

        hurt.server.kill()
        hurt.server.restart()

        assert set(hurt.statuses(pending)) <= {"COMPLETED", "STUB"}
        assert hurt.client.llen("slotgen") == 0
        # Answers that had come when Redis was away were kept until it was back: nothing is paid for twice.
        assert max(hurt.stand_in.journal.billed_requests().values()) == 1


@pytest.mark.timeout(120)
def test_a_message_delivered_twice_at_once_is_generated_once():
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=1))
        hurt.start_worker()
        hurt.start_worker()
        message = json.dumps(a_message(a_spec(), task_id="twice"))
        for _ in range(10):
            hurt.client.lpush("slotgen", message)

        assert hurt.statuses(["twice"]) == ["COMPLETED"]
        hurt.wait_for_codes(10)
        assert hurt.codes() == [None] * 10
        assert hurt.stand_in.journal.counts().begun == 1
        assert hurt.client.keys("slotgen:claim:*") == []
        assert hurt.client.keys("slotgen:ledger:*") == []


@pytest.mark.timeout(120)
def test_a_call_that_a_worker_died_with_stays_visible_in_the_ledger():
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=60))
        worker = hurt.start_worker()
        hurt.send(5)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 5, 20)

        kill(worker)

        assert hurt.client.mget(hurt.client.keys("slotgen:ledger:*")) == [b"1"] * 5


@pytest.mark.timeout(120)
def test_a_worker_that_finishes_before_it_stops_is_not_taken_for_lost():
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=LOST_SECONDS * 2.5))
        stopping = hurt.start_worker()
        task_ids = hurt.send(5)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 5, 20)
        hurt.start_worker()

        assert stopping.stop() == 0

        assert hurt.statuses(task_ids) == ["COMPLETED"] * 5
        assert hurt.stand_in.journal.counts().begun == 5
        assert "lost_worker_found" not in [line["event"] for line in hurt.lines]
