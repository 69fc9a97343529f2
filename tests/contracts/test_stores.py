"""One suite for the fakes and the Redis adapters that they stand for."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tasks.errors import StoreUnavailable
from tasks.ports import Claim
from tests.bookings import Bookings, some_steps
from tests.fakes.batches import NotedBatches
from tests.fakes.ports import FakeSteps
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.keys import ANSWERS, WORKERS

WORKER = "worker-1"


@pytest.fixture(scope="session")
def server():
    with EmbeddedRedis() as running:
        yield running


def the_steps(batches, namespace, worker_id=WORKER):
    return some_steps(batches, namespace, worker_id=worker_id, worker_lost_seconds=15)


@contextlib.asynccontextmanager
async def redis_client(server, namespace):
    async with open_async(server.url, timeout_seconds=5) as client:
        # The worker of these tests lives.
        now, _ = await client.time()
        await client.zadd(WORKERS(namespace), {WORKER: now})
        yield client


def run(kind, request, scenario):
    """Run `scenario(steps)` on the fake or on a real Redis."""
    if kind == "fake":
        return asyncio.run(scenario(Bookings(FakeSteps())))
    namespace = f"ns-{request.node.name}"

    async def on_redis():
        async with redis_client(request.getfixturevalue("server"), namespace) as client:
            return await scenario(Bookings(the_steps(RedisBatches(client), namespace)))

    return asyncio.run(on_redis())


both = pytest.mark.parametrize("kind", ["fake", "redis"])


@both
def test_only_one_token_holds_a_claim(kind, request):
    async def scenario(claims):
        taken = [await claims.ours(token, "job") for token in ("a", "b", "c")]
        other = await claims.ours("b", "another job")
        return taken, other

    assert run(kind, request, scenario) == ([True, False, False], True)


@both
def test_a_released_claim_is_free_and_only_its_holder_releases_it(kind, request):
    async def scenario(claims):
        await claims.steps.claim("job", "a")
        await claims.release("job", "b", concluded=True)
        still_held = not await claims.ours("b", "job")
        await claims.release("job", "a", concluded=True)
        return still_held, await claims.ours("b", "job")

    assert run(kind, request, scenario) == (True, True)


@both
def test_attempts_add_up_until_the_job_has_an_outcome(kind, request):
    async def scenario(claims):
        await claims.steps.claim("job", "a")
        counted = [await claims.begin_attempt("job") for _ in range(3)]
        await claims.release("job", "b", concluded=True)
        kept = await claims.begin_attempt("job")
        await claims.release("job", "a", concluded=True)
        return counted, kept, await claims.begin_attempt("job")

    assert run(kind, request, scenario) == ([1, 2, 3], 4, 1)


@both
def test_an_attempt_that_is_taken_back_counts_no_more(kind, request):
    async def scenario(claims):
        counted = [await claims.begin_attempt("job") for _ in range(2)]
        # Redis may have done it and answered too late: then it is asked again.
        for _ in range(2):
            await claims.end_attempt("job", 2)
        return counted, await claims.begin_attempt("job")

    assert run(kind, request, scenario) == ([1, 2], 2)


@both
def test_attempts_without_an_outcome_outlive_the_claim(kind, request):
    async def scenario(claims):
        await claims.steps.claim("job", "a")
        await claims.begin_attempt("job")
        await claims.release("job", "a", concluded=False)
        return await claims.ours("b", "job"), await claims.begin_attempt("job")

    assert run(kind, request, scenario) == (True, 2)


@both
def test_an_answer_comes_back_as_it_was(kind, request):
    value = {"paragraphs": ["é < ü", "two"], "n": [1, 2.5, None, True]}

    async def scenario(claims):
        stored = await claims.put("key", value)
        return stored, (await claims.steps.claim("key", "a")).answer

    assert run(kind, request, scenario) == (True, value)


@both
def test_an_answer_comes_before_a_claim_and_one_that_cannot_be_used_counts_as_none(kind, request):
    async def scenario(claims):
        first = await claims.steps.claim("key", "a")
        await claims.put("key", 42)
        second = await claims.steps.claim("key", "b")
        held = await claims.steps.claim("key", "b", despite=second.stored)
        await claims.release("key", "a", concluded=True)
        last = await claims.steps.claim("key", "b", despite=second.stored)
        return first.ours, (second.ours, second.answer), held, last.ours

    assert run(kind, request, scenario) == (True, (False, 42), Claim(ours=False), True)


def test_a_claim_whose_holder_gives_no_sign_of_life_is_free(server):
    async def scenario():
        async with redis_client(server, "silent") as client:
            dead = the_steps(RedisBatches(client), "silent", "dead-worker")
            living = the_steps(RedisBatches(client), "silent")
            now, _ = await client.time()
            await client.zadd(WORKERS("silent"), {"dead-worker": now - 16})
            claims = [(dead, "a"), (living, "b"), (dead, "a")]
            return tuple([(await each.claim("job", token)).ours for each, token in claims])

    assert asyncio.run(scenario()) == (True, True, False)


def test_a_redis_that_is_away_is_unknown_not_free():
    async def scenario(call):
        async with open_async("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
            await call(Bookings(the_steps(RedisBatches(client), "ns")))

    for call in (lambda claims: claims.ours("a"), lambda claims: claims.begin_attempt()):
        with pytest.raises(StoreUnavailable):
            asyncio.run(scenario(call))


def test_an_answer_waits_for_a_redis_that_is_away():
    async def scenario(server):
        async with open_async(server.url, timeout_seconds=30) as client:
            batches = NotedBatches(client)
            claims = Bookings(the_steps(batches, "ns"))
            server.kill()
            storing = asyncio.create_task(claims.put("key", "paid for"))
            await batches.refusals(2)
            assert not storing.done()
            await asyncio.to_thread(server.restart)
            return await storing, await client.get("ns:answer:key")

    with EmbeddedRedis(persistent=True) as server:
        assert asyncio.run(scenario(server)) == (True, b'"paid for"')


@pytest.mark.parametrize(
    ("setting", "refusing", "taking"),
    [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")],
)
def test_an_answer_waits_for_a_redis_that_refuses_for_a_while(setting, refusing, taking):
    async def scenario(server):
        async with open_async(server.url, timeout_seconds=30) as client:
            await client.config_set(setting, refusing)
            batches = NotedBatches(client)
            putting = asyncio.create_task(Bookings(the_steps(batches, "ns")).put("key", "paid for"))
            await batches.refusals(2)
            assert not putting.done()
            await client.config_set(setting, taking)
            return await putting

    with EmbeddedRedis() as server:
        assert asyncio.run(scenario(server)) is True


def test_an_answer_that_redis_refuses_for_good_is_said_to_be_lost():
    async def scenario(server):
        async with open_async(server.url, timeout_seconds=1) as client:
            await client.set(ANSWERS("ns"), "no index")
            return await Bookings(the_steps(RedisBatches(client), "ns")).put("key", "paid for")

    with EmbeddedRedis() as server:
        assert asyncio.run(scenario(server)) is False


def test_a_claim_of_the_one_who_asks_is_held_however_old_its_sign_of_life(server):
    async def scenario():
        async with redis_client(server, "back") as client:
            claims = Bookings(the_steps(RedisBatches(client), "back"))
            assert await claims.ours("a", "job")
            # Redis was away for long, and is back: the first copy of the job is still in flight.
            await client.zadd(WORKERS("back"), {WORKER: 1})
            return await claims.ours("b", "job")

    assert asyncio.run(scenario()) is False


@pytest.mark.parametrize("text", [b"{", b"\xff"])
def test_a_spoilt_answer_is_unknown_not_none(server, text):
    async def scenario():
        async with redis_client(server, "spoilt") as client:
            await client.set("spoilt:answer:key", text)
            await the_steps(RedisBatches(client), "spoilt").claim("key", "a")

    with pytest.raises(StoreUnavailable, match="spoilt:answer:key holds a value that cannot be read"):
        asyncio.run(scenario())


@pytest.mark.parametrize("spoilt", ["answer", "claim", "workers"])
def test_a_key_of_another_type_is_unknown_not_none(server, spoilt):
    async def scenario():
        async with redis_client(server, f"type-{spoilt}") as client:
            await the_steps(RedisBatches(client), f"type-{spoilt}", "another").claim("key", "a")
            key = f"type-{spoilt}:{spoilt}" + (":key" if spoilt != "workers" else "")
            await client.delete(key)
            await client.lpush(key, "by hand")
            await the_steps(RedisBatches(client), f"type-{spoilt}").claim("key", "b")

    with pytest.raises(StoreUnavailable, match="has a key of another type"):
        asyncio.run(scenario())
