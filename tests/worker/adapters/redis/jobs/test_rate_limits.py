"""A cooldown holds for as long as was asked, and never longer than the longest, whatever its key says."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import ErrorCode
from tasks.ports import Arrival, Departed, Departure
from tests.bookings import Bookings, some_steps
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.keys import BREAKER, BREAKER_PROBE, COOLDOWN

LONGEST_SECONDS = 600


def run(redis_server, namespace, scenario):
    async def composed():
        async with open_async(redis_server.url, timeout_seconds=5) as client:
            steps = some_steps(RedisBatches(client), namespace, longest_cooldown_seconds=LONGEST_SECONDS)
            return await scenario(Bookings(steps))

    return asyncio.run(composed())


def wait_seconds(redis_server, namespace):
    departed = run(redis_server, namespace, lambda bookings: bookings.depart())
    assert departed.left is False
    return departed.wait_seconds


@pytest.mark.parametrize(
    ("set_to", "expected"), [(60, 60), (10**9, LONGEST_SECONDS), (None, LONGEST_SECONDS)], ids=str
)
def test_one_that_would_hold_for_years_is_cut(set_to, expected, redis_server, redis_client, namespace):
    # As after Redis's clock went back by days, or after somebody's SET.
    key = COOLDOWN(namespace, "gpt")
    redis_client.set(key, 1, ex=set_to)

    # What is cut is cut to the millisecond.
    within_seconds = 0 if expected == LONGEST_SECONDS else 5
    assert wait_seconds(redis_server, namespace) == pytest.approx(expected, abs=within_seconds, rel=0)
    assert redis_client.ttl(key) == pytest.approx(expected, abs=5)


def test_where_there_is_none_none_is_made(redis_server, redis_client, namespace):
    assert run(redis_server, namespace, lambda bookings: bookings.depart()) == Departed(left=True, begun=1)
    assert redis_client.exists(COOLDOWN(namespace, "gpt")) == 0


def test_a_cooldown_says_since_when_it_holds_by_redis_s_clock(redis_server, redis_client, namespace):
    run(redis_server, namespace, lambda bookings: bookings.cool_down("gpt", 60))

    assert 50_000 < redis_client.pttl(COOLDOWN(namespace, "gpt")) <= 60_000
    since = int(redis_client.get(COOLDOWN(namespace, "gpt")))
    assert since == pytest.approx(redis_client.time()[0], abs=60)


def test_a_breaker_says_what_opened_it_and_lets_no_probe_leave_at_first(
    redis_server, redis_client, namespace
):
    async def scenario(bookings):
        await bookings.steps.arrive(Arrival("job", opened_by=ErrorCode.OPENAI_QUOTA_EXHAUSTED))
        return await bookings.depart()

    departed = run(redis_server, namespace, scenario)

    assert (departed.left, departed.refused) == (False, ErrorCode.OPENAI_QUOTA_EXHAUSTED)
    # The tests' probe_seconds.
    assert 0 < redis_client.pttl(BREAKER_PROBE(namespace)) <= 10_000


def test_a_breaker_that_somebody_wrote_by_hand_refuses_all_the_same(redis_server, redis_client, namespace):
    redis_client.set(BREAKER(namespace), b"\xff")
    redis_client.set(BREAKER_PROBE(namespace), 1)

    departed = run(redis_server, namespace, lambda bookings: bookings.depart())

    assert departed == Departed(left=False, refused=ErrorCode.OPENAI_AUTH_ERROR)


def test_once_the_lease_has_ended_one_request_leaves_as_the_probe(redis_server, redis_client, namespace):
    async def scenario(bookings):
        before = await bookings.depart("before")
        await bookings.steps.arrive(Arrival("job", opened_by=ErrorCode.OPENAI_AUTH_ERROR))
        redis_client.delete(BREAKER_PROBE(namespace))
        return (
            before,
            await bookings.depart("first"),
            await bookings.depart("first"),
            await bookings.depart("second"),
        )

    before, first, again, second = run(redis_server, namespace, scenario)

    assert (before.left, before.probe) == (True, False)
    assert (first.left, first.probe, again.left, again.probe) == (True, True, True, True)
    assert (second.left, second.refused) == (False, ErrorCode.OPENAI_AUTH_ERROR)
    assert 0 < redis_client.pttl(BREAKER_PROBE(namespace)) <= 10_000


def test_who_may_not_probe_leaves_that_to_others(redis_server, redis_client, namespace):
    redis_client.set(BREAKER(namespace), "OPENAI_AUTH_ERROR")
    trial = Departure("trial", "h1", "gpt", 1, 60, 9, may_probe=False)

    async def scenario(bookings):
        return await bookings.steps.depart(trial), await bookings.depart("h2")

    refused, probe = run(redis_server, namespace, scenario)

    assert refused == Departed(left=False, refused=ErrorCode.OPENAI_AUTH_ERROR)
    assert (probe.left, probe.probe) == (True, True)


def test_a_job_with_too_many_attempts_is_told_how_many(redis_server, namespace):
    async def scenario(bookings):
        await bookings.begin_attempt()
        await bookings.begin_attempt()
        return await bookings.depart("third", most_begun=2)

    departed = run(redis_server, namespace, scenario)

    assert (departed.left, departed.begun) == (False, 2)
