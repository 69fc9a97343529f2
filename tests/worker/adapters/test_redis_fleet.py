"""The living workers in a real Redis, the queue's age, and the word that a halt is done."""

from __future__ import annotations

import time

import pytest

from tasks.operations.fleet import WorkerCard
from tasks.operations.halting import Confirmation
from worker.adapters.redis_fleet import RedisFleet, card, confirmation
from worker.adapters.redis_keys import card_key, halts_channel, taken_key, workers_key
from worker.adapters.redis_queue_age import RedisQueueAge
from worker.adapters.redis_signs_of_life import SignsOfLife


@pytest.fixture
def fleet(redis_client, namespace):
    return RedisFleet(redis_client, namespace)


def a_card(worker_id, wall_ms=1):
    return WorkerCard(worker_id, "box", 7, "0.1.0", "c", 0, None, None, True, wall_ms, wall_ms)


def give_sign(redis_client, namespace, worker_id, started_ms):
    signs = SignsOfLife(redis_client, namespace, worker_id, 15, lambda _: card(a_card(worker_id, started_ms)))
    signs.give_sign()
    return signs


class TestCards:
    def test_are_those_of_the_living_oldest_first(self, fleet, redis_client, namespace):
        give_sign(redis_client, namespace, "second", 2)
        give_sign(redis_client, namespace, "first", 1)
        redis_client.zadd(workers_key(namespace), {"silent": 1})

        assert [each.worker_id for each in fleet.workers()] == ["first", "second"]
        assert 10 < redis_client.ttl(card_key(namespace, "first")) <= 15

    def test_go_with_their_worker(self, fleet, redis_client, namespace):
        signs = give_sign(redis_client, namespace, "w", 1)

        signs.stop()

        assert fleet.workers() == []

    def test_of_another_version_are_left_out(self, fleet, redis_client, namespace):
        redis_client.zadd(workers_key(namespace), {"odd": 1, "broken": 2})
        redis_client.set(card_key(namespace, "odd"), '{"worker_id": "odd"}')
        redis_client.set(card_key(namespace, "broken"), "{")

        assert fleet.workers() == []


class TestHalts:
    def test_are_heard_from_every_worker_that_was_asked_for(self, fleet, redis_client, namespace):
        listener = fleet.listen()
        for worker_id in ("a", "b"):
            redis_client.publish(halts_channel(namespace), confirmation(Confirmation(worker_id, 3, 1.5)))

        heard = listener.wait_for({"a", "b"}, 5)
        listener.close()

        assert heard == {"a": Confirmation("a", 3, 1.5), "b": Confirmation("b", 3, 1.5)}

    def test_that_do_not_come_are_not_waited_for_for_ever(self, fleet, redis_client, namespace):
        listener = fleet.listen()
        redis_client.publish(halts_channel(namespace), confirmation(Confirmation("a", 0, 1)))

        began = time.monotonic()
        heard = listener.wait_for({"a", "silent"}, 0.2)
        listener.close()

        assert set(heard) == {"a"}
        assert time.monotonic() - began < 2


class TestQueueAge:
    @pytest.fixture
    def age(self, redis_client, namespace):
        return RedisQueueAge(redis_client, namespace)

    def notes(self, redis_client, namespace, **arrived_at_seconds_ago):
        now = redis_client.time()[0]
        for arrived, ago in arrived_at_seconds_ago.items():
            redis_client.zadd(f"{namespace}:arrived", {arrived.strip("n"): now - ago})

    def test_an_empty_queue_waits_for_nothing(self, age):
        assert age.oldest_seconds() == 0

    def test_nobody_can_say_before_the_first_note(self, age, redis_client, namespace):
        redis_client.lpush(namespace, "m")

        assert age.oldest_seconds() is None
        age.note()
        assert 0 <= age.oldest_seconds() < 2

    def test_a_backlog_is_as_old_as_its_oldest_message_though_it_moves(self, age, redis_client, namespace):
        # 100 had arrived 60 s ago, 200 by 30 s ago, 300 by now; 150 were taken: number 151 is the oldest.
        self.notes(redis_client, namespace, n100=60, n200=30, n300=0)
        redis_client.set(taken_key(namespace), 150)
        redis_client.lpush(namespace, *range(150))

        assert 29 < age.oldest_seconds() < 32
        redis_client.set(taken_key(namespace), 99)
        assert 59 < age.oldest_seconds() < 62

    def test_notes_only_what_is_new(self, age, redis_client, namespace):
        redis_client.lpush(namespace, "a", "b")
        for _ in range(5):
            age.note()
        redis_client.rpop(namespace)
        redis_client.incr(taken_key(namespace))
        age.note()

        assert redis_client.zrange(f"{namespace}:arrived", 0, -1) == [b"2"]

    def test_a_queue_that_was_emptied_by_hand_counts_anew(self, age, redis_client, namespace):
        redis_client.lpush(namespace, *range(50))
        age.note()
        redis_client.delete(namespace)
        redis_client.lpush(namespace, "m")

        age.note()

        assert redis_client.zrange(f"{namespace}:arrived", 0, -1) == [b"1"]
        assert 0 <= age.oldest_seconds() < 2
