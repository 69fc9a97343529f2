"""Who counts as lost: a worker that is silent while Redis hears others."""

from __future__ import annotations

import pytest

from worker.adapters.redis.jobs.liveness import beat, find_lost
from worker.adapters.redis.keys import WORKERS, WORKERS_RESUMED

LOST_SECONDS = 600


@pytest.fixture
def heard(redis_client, namespace):
    """Return `heard(worker, seconds_ago)`: as if its last heartbeat had come then."""

    def write(worker, seconds_ago):
        seconds = redis_client.time()[0]
        redis_client.zadd(WORKERS(namespace), {worker: seconds - seconds_ago})

    return write


@pytest.fixture
def lost(redis_client, namespace):
    return lambda asks="mine": find_lost(redis_client, namespace, asks, LOST_SECONDS)


def test_a_heartbeat_has_the_time_of_redis(redis_client, namespace):
    before_ms = redis_client.time()[0] * 1000
    beat_ms = beat(redis_client, namespace, "mine", LOST_SECONDS)

    assert before_ms <= beat_ms <= redis_client.time()[0] * 1000 + 1000
    assert redis_client.zscore(WORKERS(namespace), "mine") == pytest.approx(beat_ms / 1000, abs=0.001)


@pytest.mark.parametrize(("seconds_ago", "found"), [(LOST_SECONDS - 60, []), (LOST_SECONDS + 60, ["theirs"])])
def test_a_worker_is_lost_that_is_silent_for_too_long_while_another_is_heard(seconds_ago, found, heard, lost):
    heard("theirs", seconds_ago)
    heard("mine", 0)

    assert lost() == found


def test_whoever_was_lost_last_is_found_among_any_number_of_others(redis_client, namespace, heard, lost):
    redis_client.zadd(WORKERS(namespace), {f"old-{each}": 1 for each in range(3_000)})
    heard("theirs", LOST_SECONDS + 60)
    heard("mine", 0)

    found = lost()

    assert (found[0], len(found)) == ("theirs", 1_000)


def test_the_one_who_asks_lives(heard, lost):
    heard("mine", LOST_SECONDS + 60)
    heard("theirs", 0)

    assert (lost(), lost("theirs")) == ([], ["mine"])


def test_nobody_is_lost_while_nobody_is_heard(heard, lost):
    heard("theirs", LOST_SECONDS + 60)
    heard("mine", LOST_SECONDS / 2 + 60)

    assert lost() == []


def test_after_a_pause_of_all_each_has_the_whole_time_to_be_heard(redis_client, namespace, heard, lost):
    # As after a Redis that was frozen for half an hour: the first to be heard is the one that asks.
    heard("theirs", 1800)
    heard("mine", 1800)
    beat(redis_client, namespace, "mine", LOST_SECONDS)
    assert lost() == []

    resumed = float(redis_client.get(WORKERS_RESUMED(namespace)))
    redis_client.set(WORKERS_RESUMED(namespace), resumed - LOST_SECONDS - 60)
    assert lost() == ["theirs"]


def test_no_pause_is_noted_while_another_is_heard(redis_client, namespace, heard):
    heard("theirs", LOST_SECONDS / 2 - 60)

    beat(redis_client, namespace, "mine", LOST_SECONDS)

    assert redis_client.get(WORKERS_RESUMED(namespace)) is None


@pytest.mark.parametrize("score", ["inf", "1e300"])
def test_a_heartbeat_from_the_future_is_nobody_s(redis_client, namespace, heard, lost, score):
    redis_client.zadd(f"{namespace}:workers", {"foreign": score})
    heard("theirs", LOST_SECONDS * 10)

    # As when nobody is heard.
    assert lost() == []


@pytest.mark.parametrize("resumed", [b"", b"nan", b"inf", b"1e300", b"\xff", b"x"])
def test_what_is_no_moment_is_no_end_of_a_pause(redis_client, namespace, heard, lost, resumed):
    heard("mine", 0)
    heard("theirs", LOST_SECONDS * 10)
    redis_client.set(f"{namespace}:workers:resumed", resumed)

    assert lost() == ["theirs"]


def test_a_name_that_is_no_worker_s_is_passed_over(redis_client, namespace, heard, lost):
    heard("mine", 0)
    heard("theirs", LOST_SECONDS * 10)
    redis_client.zadd(f"{namespace}:workers", {b"\xff": 1})

    assert lost() == ["theirs"]


def test_a_clock_that_went_back_by_days_keeps_no_dead_worker_alive(redis_client, namespace, heard, lost):
    heard("theirs", -3 * 86_400)
    heard("mine", -3 * 86_400)
    redis_client.set(WORKERS_RESUMED(namespace), redis_client.time()[0] + 3 * 86_400)

    beat(redis_client, namespace, "mine", LOST_SECONDS)

    now = redis_client.time()[0]
    assert lost() == []
    assert redis_client.zscore(WORKERS(namespace), "theirs") == pytest.approx(now, abs=5)
    assert float(redis_client.get(WORKERS_RESUMED(namespace))) == pytest.approx(now, abs=5)


def test_a_clock_that_went_forward_by_days_takes_nobody_for_lost(redis_client, namespace, heard, lost):
    heard("theirs", 3 * 86_400)
    heard("mine", 3 * 86_400)

    beat(redis_client, namespace, "mine", LOST_SECONDS)

    assert lost() == []
