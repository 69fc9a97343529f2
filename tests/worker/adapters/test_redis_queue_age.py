"""How long the oldest message has waited, by notes in a real Redis and its own clock."""

from __future__ import annotations

import itertools
import time

import pytest
from redis.exceptions import RedisError

from worker.adapters.redis_clients import open_sync
from worker.adapters.redis_keys import taken_key
from worker.adapters.redis_queue_age import RedisQueueAge


@pytest.fixture
def age(redis_client, namespace):
    return RedisQueueAge(redis_client, namespace)


def send(age, number):
    age.client.lpush(age.queue, *range(number))


def take(age, number):
    age.client.rpop(age.queue, number)
    age.client.incrby(taken_key(age.queue), number)


def noted(age, **seconds_ago_by_arrived):
    now = age.client.time()[0]
    for arrived, seconds_ago in seconds_ago_by_arrived.items():
        age.client.zadd(f"{age.queue}:arrived", {arrived.strip("n"): now - seconds_ago})


def notes(age):
    return age.client.zrange(f"{age.queue}:arrived", 0, -1)


def test_an_empty_queue_waits_for_nothing(age):
    age.note()

    assert age.oldest_seconds() == 0


def test_nobody_can_say_before_the_first_note(age):
    send(age, 1)

    assert age.oldest_seconds() is None
    age.note()
    assert 0 <= age.oldest_seconds() < 2


def test_nobody_can_say_while_the_oldest_came_after_the_last_note(age):
    send(age, 5)
    age.note()
    take(age, 5)
    send(age, 1)

    assert age.oldest_seconds() is None


def test_time_passes_by_the_clock_of_redis(age):
    send(age, 1)
    age.note()
    time.sleep(0.3)  # time itself is what is measured
    age.note()

    assert 0.3 <= age.oldest_seconds() < 2


@pytest.mark.parametrize(
    ("taken", "seconds"), [(0, 60), (99, 60), (100, 30), (150, 30), (199, 30), (200, 10), (299, 10)]
)
def test_a_backlog_is_as_old_as_its_oldest_message_though_it_moves(age, taken, seconds):
    noted(age, n100=60, n200=30, n300=10)
    send(age, 300)

    take(age, taken)

    assert seconds - 1 < age.oldest_seconds() < seconds + 2


def test_one_worked_off_message_by_message_ages_without_a_jump(age):
    for minute in range(10, 0, -1):
        noted(age, **{f"n{(11 - minute) * 10}": minute * 60})
    send(age, 100)
    seen = []
    for _ in range(99):
        take(age, 1)
        seen.append(age.oldest_seconds())

    assert all(later < earlier + 1 for earlier, later in itertools.pairwise(seen))
    assert 540 < seen[10] < 545
    assert 60 <= seen[-1] < 65


def test_notes_only_what_is_new(age):
    send(age, 2)
    for _ in range(5):
        age.note()
    take(age, 1)
    age.note()

    assert notes(age) == [b"2"]


def test_a_queue_that_was_emptied_by_hand_counts_anew(age):
    send(age, 50)
    age.note()
    age.client.delete(age.queue)
    send(age, 1)

    age.note()

    assert notes(age) == [b"1"]
    assert 0 <= age.oldest_seconds() < 2


def test_a_redis_that_was_emptied_counts_anew(age):
    send(age, 50)
    take(age, 30)
    age.note()
    age.client.delete(age.queue, taken_key(age.queue), f"{age.queue}:arrived")

    assert age.oldest_seconds() == 0
    send(age, 3)
    age.note()
    assert 0 <= age.oldest_seconds() < 2


def test_millions_of_messages_are_counted_exactly(age):
    age.client.set(taken_key(age.queue), 123_456_789_012)
    send(age, 1)

    age.note()

    assert notes(age) == [b"123456789013"]
    assert 0 <= age.oldest_seconds() < 2


def test_the_notes_are_bounded_and_the_oldest_go_first(age):
    age.client.zadd(f"{age.queue}:arrived", {str(number): number for number in range(1, 10_101)})
    age.client.set(taken_key(age.queue), 10_100)
    send(age, 1)

    age.note()

    assert (len(notes(age)), notes(age)[0], notes(age)[-1]) == (10_000, b"102", b"10101")


def test_a_redis_that_is_away_is_an_error_for_the_caller():
    with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
        age = RedisQueueAge(client, "slotgen")
        for ask in (age.note, age.oldest_seconds):
            with pytest.raises(RedisError):
                ask()
