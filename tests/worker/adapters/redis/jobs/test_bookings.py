"""What books a response waits for a Redis that is away, and gives up where Redis refuses it for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tasks.errors import ErrorCode
from tasks.ports import Arrival, Arrived
from tests.bookings import Bookings, some_steps
from tests.fakes.batches import NotedBatches
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async

Booking = Callable[[Bookings], Awaitable[Arrived | bool]]


def bookings(redis):
    return Bookings(some_steps(redis, "ns"))


# Each with what it leaves in Redis, beside what `prepare` does.
BOOKINGS: dict[str, tuple[Booking, set[bytes]]] = {
    "the answer": (lambda booked: booked.put("job", "text"), {b"ns:answer:job", b"ns:answers"}),
    "the cost": (lambda booked: booked.settle("h", 1, known=True), {b"-ns:budget:holds"}),
    "the claim": (lambda booked: booked.release("job", "a", concluded=True), {b"-ns:claim:job"}),
    "the attempt": (lambda booked: booked.end_attempt("job", 1), {b"-ns:ledger:job"}),
    "the cooldown": (lambda booked: booked.cool_down("gpt", 60), {b"ns:cooldown:gpt"}),
    "the open breaker": (
        lambda booked: booked.steps.arrive(Arrival("job", opened_by=ErrorCode.OPENAI_AUTH_ERROR)),
        {b"ns:breaker"},
    ),
    "the closed breaker": (lambda booked: booked.steps.arrive(Arrival("job", closes_breaker=True)), set()),
}


async def prepare(booked):
    assert await booked.ours("a")
    assert await booked.reserve("h", 10)


@pytest.mark.parametrize("name", BOOKINGS)
def test_waits_for_a_redis_that_is_away(name):
    book, left = BOOKINGS[name]

    async def scenario(server):
        async with open_async(server.url, timeout_seconds=30) as client:
            batches = NotedBatches(client)
            booked = bookings(batches)
            await prepare(booked)
            server.kill()
            booking = asyncio.ensure_future(book(booked))
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
            return await book(bookings(RedisBatches(client)))

    # A Redis that knows no scripts.
    renamed = [
        word for each in ("EVAL", "EVALSHA") for word in ("--rename-command", each, f"{each}-elsewhere")
    ]
    with EmbeddedRedis(extra_args=renamed) as server:
        assert asyncio.run(scenario(server)) in {False, Arrived()}
