"""What only a real Redis shows of claims and attempts: how long they last, and what they leave behind."""

from __future__ import annotations

import asyncio

import pytest

from tests.bookings import Bookings, some_steps
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async, open_sync
from worker.adapters.redis.jobs.liveness import beat
from worker.adapters.redis.keys import WORKERS

LOST_SECONDS = 600
DAY_SECONDS = 86_400
WEEK_SECONDS = 604_800


def run(redis_server, namespace, scenario):
    async def composed():
        async with open_async(redis_server.url, timeout_seconds=30) as client:
            batches = RedisBatches(client)
            workers = [Bookings(some_steps(batches, namespace, worker_id=each)) for each in ("w1", "w2")]
            return await scenario(client, *workers)

    return asyncio.run(composed())


async def give_sign_of_life(client, namespace, worker, *, seconds_ago=0):
    now, _ = await client.time()
    await client.zadd(WORKERS(namespace), {worker: now - seconds_ago})


def test_a_claim_names_its_holder_and_ends_by_itself_a_day_after_a_worker_was_killed(redis_server, namespace):
    async def scenario(client, mine, _):
        assert await mine.ours("a")
        return await client.get(f"{namespace}:claim:job"), await client.ttl(f"{namespace}:claim:job")

    holder, left = run(redis_server, namespace, scenario)

    assert holder == b"w1:a"
    assert DAY_SECONDS - 60 < left <= DAY_SECONDS


@pytest.mark.parametrize(("seconds_ago", "taken"), [(LOST_SECONDS // 2, False), (LOST_SECONDS + 1, True)])
def test_a_claim_is_taken_over_from_a_worker_that_has_been_silent_for_too_long(
    redis_server, namespace, seconds_ago, taken
):
    async def scenario(client, mine, theirs):
        await theirs.ours("a", "job")
        await give_sign_of_life(client, namespace, "w1")
        await give_sign_of_life(client, namespace, "w2", seconds_ago=seconds_ago)
        return await mine.ours("b"), await client.get(f"{namespace}:claim:job")

    assert run(redis_server, namespace, scenario) == (taken, b"w1:b" if taken else b"w2:a")


def test_no_claim_is_taken_over_right_after_a_redis_that_nobody_could_reach(redis_server, namespace):
    async def scenario(client, mine, theirs):
        await theirs.ours("a", "job")
        for worker in ("w1", "w2"):
            await give_sign_of_life(client, namespace, worker, seconds_ago=3 * LOST_SECONDS)
        before = await mine.ours("b")
        with open_sync(redis_server.url) as at_once:
            beat(at_once, namespace, "w1", LOST_SECONDS)
        return before, await mine.ours("b"), await client.get(f"{namespace}:claim:job")

    assert run(redis_server, namespace, scenario) == (False, False, b"w2:a")


def test_a_claim_is_taken_over_from_a_worker_that_is_not_known(redis_server, namespace):
    async def scenario(_, mine, theirs):
        await theirs.ours("a", "job")
        return await mine.ours("b")

    assert run(redis_server, namespace, scenario) is True


def test_a_concluded_job_leaves_nothing_behind_and_another_its_attempts(redis_server, namespace):
    async def scenario(client, mine, _):
        left = []
        for job, concluded in (("done", True), ("to come", False)):
            await mine.ours("a", job)
            await mine.begin_attempt(job)
            await mine.release(job, "a", concluded=concluded)
            left += await client.keys(f"{namespace}:*:{job}")
        return left

    assert run(redis_server, namespace, scenario) == [f"{namespace}:ledger:to come".encode()]


def test_the_attempts_of_a_job_are_kept_for_a_week_after_the_last(redis_server, namespace):
    async def scenario(client, mine, _):
        await mine.begin_attempt("job")
        await client.expire(f"{namespace}:ledger:job", 100)
        await mine.begin_attempt("job")
        return await client.ttl(f"{namespace}:ledger:job")

    assert WEEK_SECONDS - 60 < run(redis_server, namespace, scenario) <= WEEK_SECONDS


def test_an_attempt_that_is_taken_back_leaves_the_others(redis_server, namespace):
    async def scenario(client, mine, _):
        for begun in (1, 2):
            assert await mine.begin_attempt("job") == begun
        await mine.end_attempt("job", begun)
        return await client.get(f"{namespace}:ledger:job")

    assert run(redis_server, namespace, scenario) == b"1"


@pytest.mark.parametrize("begun", [0, 1])
def test_the_last_attempt_that_is_taken_back_takes_the_count_with_it(redis_server, namespace, begun):
    async def scenario(client, mine, _):
        for _attempt in range(begun):
            await mine.begin_attempt("job")
        await mine.end_attempt("job", begun)
        return await client.exists(f"{namespace}:ledger:job")

    assert run(redis_server, namespace, scenario) == 0


def test_a_connection_that_was_closed_meanwhile_is_no_reason_not_to_claim(redis_server, namespace):
    async def scenario(client, mine, _):
        assert await mine.ours("a", "one")
        with open_sync(redis_server.url, timeout_seconds=5) as other:
            other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return await mine.ours("b", "two")

    assert run(redis_server, namespace, scenario)


def test_a_job_that_is_claimed_twice_under_one_token_is_claimed_once(redis_server, namespace):
    async def scenario(_, mine, __):
        return [await mine.ours("a"), await mine.ours("a"), await mine.ours("b")]

    assert run(redis_server, namespace, scenario) == [True, True, False]
