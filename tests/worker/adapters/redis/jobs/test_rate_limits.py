"""A cooldown holds for as long as was asked, and never longer than the longest, whatever its key says."""

from __future__ import annotations

import asyncio

import pytest

from tests.bookings import Bookings, some_steps
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.keys import COOLDOWN

LONGEST_SECONDS = 600


def wait_seconds(redis_server, namespace):
    async def scenario():
        async with open_async(redis_server.url, timeout_seconds=5) as client:
            steps = some_steps(RedisBatches(client), namespace, longest_cooldown_seconds=LONGEST_SECONDS)
            return (await Bookings(steps).depart()).wait_seconds

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("set_to", "expected"), [(60, 60), (10**9, LONGEST_SECONDS), (None, LONGEST_SECONDS)], ids=str
)
def test_one_that_would_hold_for_years_is_cut(set_to, expected, redis_server, redis_client, namespace):
    # As after Redis's clock went back by days, or after somebody's SET.
    key = COOLDOWN(namespace, "gpt")
    redis_client.set(key, 1, ex=set_to)

    assert wait_seconds(redis_server, namespace) == pytest.approx(expected, abs=5)
    assert redis_client.ttl(key) == pytest.approx(expected, abs=5)


def test_where_there_is_none_none_is_made(redis_server, redis_client, namespace):
    assert wait_seconds(redis_server, namespace) == 0
    assert redis_client.exists(COOLDOWN(namespace, "gpt")) == 0
