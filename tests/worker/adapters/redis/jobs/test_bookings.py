"""What books a response waits for a Redis that is away, and gives up where Redis refuses it for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tasks.errors import ErrorCode
from tasks.ports import Reservation
from tests.fakes.batches import NotedBatches
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.answers import RedisAnswers
from worker.adapters.redis.jobs.budget import RedisBudget
from worker.adapters.redis.jobs.claims import RedisClaims
from worker.adapters.redis.jobs.rate_limits import RedisRateLimits

Booking = Callable[[RedisBatches], Awaitable[object]]


def claims(redis):
    return RedisClaims(redis, "ns", "w1", 600)


def budget(redis):
    return RedisBudget(redis, "ns", None, 86_400, lambda: None)


def limits(redis):
    return RedisRateLimits(redis, "ns", 10)


# Each with what it leaves in Redis, beside what `prepare` does.
BOOKINGS: dict[str, tuple[Booking, set[bytes]]] = {
    "the answer": (
        lambda redis: RedisAnswers(redis, "ns", 60).put("job", "text"),
        {b"ns:answer:job", b"ns:answers"},
    ),
    "the cost": (lambda redis: budget(redis).settle("h", 1, known=True), {b"-ns:budget:holds"}),
    "the claim": (lambda redis: claims(redis).release("job", "a", concluded=True), {b"-ns:claim:job"}),
    "the attempt": (lambda redis: claims(redis).end_attempt("job", 1), {b"-ns:ledger:job"}),
    "the cooldown": (lambda redis: limits(redis).cool_down("gpt", 60), {b"ns:cooldown:gpt"}),
    "the open breaker": (
        lambda redis: limits(redis).open_breaker(ErrorCode.OPENAI_AUTH_ERROR),
        {b"ns:breaker"},
    ),
    "the closed breaker": (lambda redis: limits(redis).close_breaker(), set()),
}


async def prepare(redis):
    await claims(redis).claim("job", "a")
    await claims(redis).begin_attempt("job")
    await budget(redis).reserve(Reservation("h", 10, "gpt", 600))


@pytest.mark.parametrize("name", BOOKINGS)
def test_waits_for_a_redis_that_is_away(name):
    book, left = BOOKINGS[name]

    async def scenario(server):
        async with open_async(server.url, timeout_seconds=30) as client:
            batches = NotedBatches(client)
            await prepare(batches)
            server.kill()
            booking = asyncio.ensure_future(book(batches))
            await batches.refusals(2)
            assert not booking.done()
            await asyncio.to_thread(server.restart)
            await booking
            return set(await client.keys())

    with EmbeddedRedis(persistent=True) as server:
        keys = asyncio.run(scenario(server))

    assert {key for key in left if not key.startswith(b"-")} <= keys
    assert not {key[1:] for key in left if key.startswith(b"-")} & keys


@pytest.mark.parametrize("name", BOOKINGS)
def test_a_refusal_for_good_breaks_nothing(name):
    book, _ = BOOKINGS[name]

    async def scenario(server):
        async with open_async(server.url, timeout_seconds=30) as client:
            return await book(RedisBatches(client))

    # A Redis that knows no scripts.
    renamed = [
        word for each in ("EVAL", "EVALSHA") for word in ("--rename-command", each, f"{each}-elsewhere")
    ]
    with EmbeddedRedis(extra_args=renamed) as server:
        assert not asyncio.run(scenario(server))
