"""What books a response waits for a Redis that is away or refuses it, for whatever reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tasks.errors import ErrorCode
from tasks.ports import Arrival, Arrived
from tests.bookings import Bookings, some_steps
from tests.deploy.redis7 import redis_server
from tests.fakes.batches import NotedBatches
from tests.ports import free_port
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_async, open_sync
from worker.adapters.redis.errors import Cause

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


def test_waits_for_a_redis_that_refuses_for_a_reason_that_nobody_has_foreseen(tmp_path, caplog):
    ports = ["--port", port := str(free_port()), "--cluster-port", str(free_port())]
    url = f"redis://127.0.0.1:{port}/0"

    def become_ready(probe):
        probe.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        eventually(lambda: b"cluster_state:ok" in probe.execute_command("CLUSTER", "INFO"))

    async def scenario(probe):
        async with open_async(url, timeout_seconds=30) as client:
            batches = NotedBatches(client)
            booked = Bookings(some_steps(batches, "{ns}"))
            await prepare(booked)
            # CLUSTERDOWN, which is none of the known causes.
            probe.execute_command("CLUSTER", "DELSLOTSRANGE", 0, 16_383)
            booking = asyncio.ensure_future(booked.put("job", "text"))
            refusals = await batches.refusals(2)
            assert not booking.done()
            await asyncio.to_thread(become_ready, probe)
            return {each.cause for each in refusals}, await booking

    with (
        open_sync(url, timeout_seconds=30) as probe,
        redis_server(tmp_path, [*ports, "--cluster-enabled", "yes"], probe),
    ):
        become_ready(probe)
        causes, stored = asyncio.run(scenario(probe))
        kept = probe.get("{ns}:answer:job")

    assert (causes, stored, kept) == ({Cause.REFUSED}, True, b'"text"')
    assert [each.message for each in caplog.records].count("result_refused") == 1
