"""How long the oldest message has waited, by notes in a real Redis and its own clock."""

from __future__ import annotations

import pytest
from redis.exceptions import RedisError

from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.jobs.queue_age import RedisQueueAge
from worker.adapters.redis.keys import ARRIVED, TAKEN

# Seconds since 1970 in a script's floats, printed and read again.
ROUNDING = 0.001


@pytest.fixture
def age(redis_client, namespace):
    return RedisQueueAge(redis_client, namespace)


def send(age, number):
    age.client.lpush(age.queue, *range(number))


def take(age, number):
    age.client.rpop(age.queue, number)
    age.client.incrby(TAKEN(age.queue), number)


def noted(age, seconds_ago_by_arrived):
    """Leave notes of the past; return when each number had arrived, by Redis's clock."""
    now = clock(age)
    moments = {arrived: now - seconds_ago for arrived, seconds_ago in seconds_ago_by_arrived.items()}
    age.client.zadd(ARRIVED(age.queue), {str(moment): arrived for arrived, moment in moments.items()})
    return moments


def clock(age):
    seconds, micros = age.client.time()
    return seconds + micros / 1_000_000


def moment(age, arrived):
    (found,) = age.client.zrangebyscore(ARRIVED(age.queue), arrived, arrived)
    return float(found)


def assert_waits_since(age, moment):
    """By Redis's clock, however slow this machine is between its questions."""
    before = clock(age)
    seconds = age.oldest_seconds()
    after = clock(age)

    assert before - moment - ROUNDING <= seconds <= after - moment + ROUNDING


def notes(age):
    """Return what had arrived by each note."""
    return [int(arrived) for _, arrived in age.client.zrange(ARRIVED(age.queue), 0, -1, withscores=True)]


def let_pass(age, seconds):
    """Make every note older by so much."""
    kept = age.client.zrange(ARRIVED(age.queue), 0, -1, withscores=True)
    age.client.delete(ARRIVED(age.queue))
    age.client.zadd(ARRIVED(age.queue), {f"{float(at) - seconds:.6f}": arrived for at, arrived in kept})


def test_an_empty_queue_waits_for_nothing(age):
    age.note()

    assert age.oldest_seconds() == 0


def test_nobody_can_say_before_the_first_note(age):
    send(age, 1)

    assert age.oldest_seconds() is None
    before = clock(age)
    age.note()
    assert before <= moment(age, 1) <= clock(age)
    assert_waits_since(age, moment(age, 1))


def test_nobody_can_say_while_the_oldest_came_after_the_last_note(age):
    send(age, 5)
    age.note()
    take(age, 5)
    send(age, 1)

    assert age.oldest_seconds() is None


def test_a_later_note_of_the_same_number_does_not_make_it_younger(age):
    send(age, 1)
    age.note()
    let_pass(age, 60)
    noted_then = moment(age, 1)
    age.note()

    assert moment(age, 1) == noted_then
    assert_waits_since(age, noted_then)


@pytest.mark.parametrize(
    ("taken", "by"), [(0, 100), (99, 100), (100, 200), (150, 200), (199, 200), (200, 300), (299, 300)]
)
def test_a_backlog_is_as_old_as_its_oldest_message_though_it_moves(age, taken, by):
    moments = noted(age, {100: 60, 200: 30, 300: 10})
    send(age, 300)

    take(age, taken)

    assert_waits_since(age, moments[by])


def test_one_worked_off_message_by_message_ages_without_a_jump(age):
    moments = noted(age, {minute * 10: (11 - minute) * 60 for minute in range(1, 11)})
    send(age, 100)

    for taken in range(1, 100):
        take(age, 1)
        assert_waits_since(age, moments[(taken // 10 + 1) * 10])


def test_notes_only_what_is_new(age):
    send(age, 2)
    for _ in range(5):
        age.note()
    take(age, 1)
    age.note()

    assert notes(age) == [2]


def test_a_queue_that_was_emptied_by_hand_counts_anew(age):
    send(age, 50)
    noted(age, {50: 60})
    age.client.delete(age.queue)
    send(age, 1)

    age.note()

    assert notes(age) == [1]
    assert_waits_since(age, moment(age, 1))


def test_a_redis_that_was_emptied_counts_anew(age):
    send(age, 50)
    take(age, 30)
    age.note()
    age.client.delete(age.queue, TAKEN(age.queue), ARRIVED(age.queue))

    assert age.oldest_seconds() == 0
    send(age, 3)
    age.note()
    assert_waits_since(age, moment(age, 3))


def test_millions_of_messages_are_counted_exactly(age):
    age.client.set(TAKEN(age.queue), 123_456_789_012)
    send(age, 1)

    age.note()

    assert notes(age) == [123456789013]
    assert_waits_since(age, moment(age, 123_456_789_013))


def test_many_workers_note_no_more_than_one_and_each_of_them_soon_enough(age):
    send(age, 1)
    age.note()
    send(age, 1)
    for _ in range(20):
        age.note()
    assert notes(age) == [1]

    let_pass(age, 2)
    age.note()

    assert notes(age) == [1, 2]


def test_a_note_goes_with_the_last_message_that_it_counts(age):
    noted(age, {100: 60, 200: 30, 300: 10})
    send(age, 300)
    take(age, 200)

    age.note()
    assert notes(age) == [300]
    take(age, 100)
    age.note()
    assert notes(age) == []


def test_the_notes_are_bounded_and_the_oldest_go_first(age):
    age.client.zadd(ARRIVED(age.queue), {str(number): number for number in range(1, 10_101)})
    send(age, 10_101)

    age.note()

    assert (len(notes(age)), notes(age)[0], notes(age)[-1]) == (10_000, 102, 10101)


def test_a_redis_that_is_away_is_an_error_for_the_caller():
    with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
        age = RedisQueueAge(client, "slotgen")
        for ask in (age.note, age.oldest_seconds):
            with pytest.raises(RedisError):
                ask()


@pytest.mark.parametrize("foreign", [b"", b"\xff", b"nan", b"inf", b"1e400", b"[]"])
def test_figures_that_are_none_leave_the_age_unknown_and_are_noted_over(age, foreign):
    send(age, 2)
    age.client.set(TAKEN(age.queue), foreign)
    age.client.zadd(ARRIVED(age.queue), {foreign: 1})
    assert age.oldest_seconds() is None

    age.client.delete(ARRIVED(age.queue))
    age.note()

    assert 0 <= age.oldest_seconds() < 60
