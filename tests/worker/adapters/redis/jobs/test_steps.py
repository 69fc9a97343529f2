"""A departure and an arrival are one step each: what they do is done together, once, or not at all."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from tasks import executor_config
from tasks.errors import ErrorCode
from tasks.limits.guard import GuardVerdict, JobResult, Observation
from tasks.ports import Arrival, Departed, Departure, Ending, Settlement
from tests.bookings import Bookings, some_steps
from tests.deploy import redis7
from tests.deploy.test_valkey import valkey_server
from tests.ports import free_port
from tests.waiting import eventually
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async, open_sync
from worker.adapters.redis.errors import Cause, RedisUnavailable
from worker.adapters.redis.jobs.steps import RedisSteps
from worker.settings import settings

FAILED = Observation(frozenset({JobResult.FAILED}), 7, "OPENAI_TIMEOUT")
# A key of another type in the way of each part of an arrival.
WRONG = {
    "cost": "budget:holds",
    "answer": "answers",
    "breaker": None,
    "attempt": "ledger:job",
    "claim": "claim:job",
    "guard": "guard",
}


def run(redis_server, scenario):
    return run_at(redis_server.url, scenario)


def run_at(url, scenario):
    async def opened():
        async with open_async(url, timeout_seconds=30) as client:
            return await scenario(client, RedisBatches(client))

    return asyncio.run(opened())


def an_arrival(**changes):
    fields = {
        "settlement": Settlement("h", 7, known=True),
        "answer": '"text"',
        "model": "gpt",
        "cooldown_seconds": 60,
        "closes_breaker": True,
        "taken_back": 1,
        "ending": Ending("t", concluded=True, observation=FAILED),
    }
    return Arrival("job", **(fields | changes))


async def in_flight(steps, client):
    """Bring a job as far as its request, which is the probe of an open breaker."""
    await client.set(f"{steps.namespace}:kill", "false")
    await steps.arrive(Arrival("job", opened_by=ErrorCode.OPENAI_AUTH_ERROR))
    await client.delete(f"{steps.namespace}:breaker:probe")
    booked = Bookings(steps)
    assert await booked.ours("t")
    assert (await booked.depart("h", 10)).probe


def refused_parts(caplog):
    """Return what the worker's log says of the parts that Redis refused, for each arrival."""
    return [
        each.slotgen_fields["parts"]
        for each in caplog.records
        if each.name == "slotgen.worker" and each.message == "arrival_refused"
    ]


async def left(client, namespace):
    """Return what Redis has of it, by the parts of an arrival."""
    present = {each.decode().removeprefix(f"{namespace}:") for each in await client.keys(f"{namespace}:*")}
    return {
        "cost": "budget:holds" not in present,
        "answer": "answer:job" in present,
        "cooldown": "cooldown:gpt" in present,
        "breaker": "breaker" not in present,
        "attempt": "ledger:job" not in present,
        "claim": "claim:job" not in present,
        "guard": "guard" in present,
    }


def test_a_deployment_has_the_steps_of_its_settings_and_its_executor_config():
    url = "redis://127.0.0.1:1"
    asked = settings.load(
        redis_url=url,
        worker_lost_seconds=61,
        budget_usd="62",
        budget_window_seconds=63,
        cache_answers=64,
        longest_cooldown_seconds=65,
    )
    config = dataclasses.replace(executor_config.load(None), probe_seconds=66, answer_ttl_seconds=67)
    batches = RedisBatches(open_async(url, timeout_seconds=1))

    assert RedisSteps.of(batches, "ns", "w1", asked, config) == some_steps(
        batches,
        "ns",
        worker_lost_seconds=61,
        cap_nano_usd=62 * 10**9,
        window_seconds=63,
        answers_kept=64,
        longest_cooldown_seconds=65,
        probe_seconds=66,
        answer_ttl_seconds=67,
    )


def test_an_arrival_books_everything_in_one_command(redis_server, redis_client, namespace):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        # Known to Redis from here on, as after a worker's first job.
        await some_steps(batches, f"{namespace}-other").arrive(an_arrival())
        before = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
        arrived = await steps.arrive(an_arrival())
        calls = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] - before
        return calls, arrived.stored, await left(client, namespace)

    calls, stored, booked = run(redis_server, scenario)

    assert (calls, stored) == (1, True)
    assert booked == dict.fromkeys(booked, True)


def test_an_arrival_that_is_told_twice_is_booked_once(redis_server, namespace):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        findings = [(await steps.arrive(an_arrival())).finding for _ in range(2)]
        (account,) = await client.keys(f"{namespace}:budget:1*")
        return findings, await client.llen(f"{namespace}:guard"), await client.hget(account, "spent")

    findings, seen, spent = run(redis_server, scenario)

    assert [each and each.verdict for each in findings] == [GuardVerdict.NO_DATA, None]
    assert (seen, spent) == (1, b"7")


def test_where_nobody_may_be_told_of_a_released_claim_it_is_booked_once(redis_server, namespace, caplog):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        await client.execute_command("ACL", "SETUSER", "default", "-publish")
        try:
            arrived = await steps.arrive(an_arrival())
        finally:
            await client.execute_command("ACL", "SETUSER", "default", "+publish")
        return arrived.finding, await left(client, namespace)

    finding, booked = run(redis_server, scenario)

    assert finding
    assert finding.verdict is GuardVerdict.NO_DATA
    assert booked == dict.fromkeys(booked, True)
    assert refused_parts(caplog) == []


@pytest.mark.parametrize("gone", ["hold", "claim"])
def test_an_outcome_counts_though_its_hold_ran_out_or_its_claim_was_taken(redis_server, namespace, gone):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        await client.delete(f"{namespace}:{'budget:holds' if gone == 'hold' else 'claim:job'}")
        await steps.arrive(an_arrival())
        return await client.llen(f"{namespace}:guard")

    assert run(redis_server, scenario) == 1


def costs_that_part_alone(server_url, namespace, caplog, part):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        key = f"{namespace}:{WRONG[part]}"
        await client.delete(key)
        await client.xadd(key, {"by": "hand"})
        arrived = await steps.arrive(an_arrival())
        return arrived.stored, await left(client, namespace)

    stored, booked = run_at(server_url, scenario)

    assert [each for each, is_done in booked.items() if not is_done and each != part] == []
    assert stored is (part != "answer")
    assert refused_parts(caplog) == [[part]]


@pytest.mark.parametrize("part", [each for each, key in WRONG.items() if key])
def test_what_somebody_else_has_put_into_a_key_costs_that_part_alone(redis_server, namespace, caplog, part):
    costs_that_part_alone(redis_server.url, namespace, caplog, part)


@pytest.mark.thorough
@pytest.mark.parametrize("program", [redis7.redis7, valkey_server], ids=["Redis 7", "Valkey"])
def test_so_it_does_whatever_a_server_s_scripts_catch(tmp_path, namespace, caplog, program):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with open_sync(url) as client, redis7.redis_server(tmp_path, ["--port", str(port)], client, program()):
        costs_that_part_alone(url, namespace, caplog, "answer")


def test_a_claim_that_cannot_be_read_is_said_though_nothing_else_shows_whether_this_is_new(
    redis_server, namespace, caplog
):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        await client.delete(f"{namespace}:claim:job")
        await client.xadd(f"{namespace}:claim:job", {"by": "hand"})
        await steps.arrive(an_arrival(settlement=None))

    run(redis_server, scenario)

    assert refused_parts(caplog) == [["claim"]]


def test_an_arrival_with_nothing_to_book_leaves_the_rest_as_it_is(redis_server, namespace, caplog):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        await in_flight(steps, client)
        await steps.arrive(Arrival("job", model="gpt", ending=Ending("t", concluded=False)))
        (account,) = await client.keys(f"{namespace}:budget:1*")
        return await left(client, namespace), await client.hget(account, "spent")

    booked, spent = run(redis_server, scenario)

    assert [each for each, is_done in booked.items() if is_done] == ["claim"]
    assert spent is None
    assert refused_parts(caplog) == []


@pytest.mark.parametrize("obstacle", ["cap", "attempts", "cooldown", "probe"])
def test_a_departure_that_is_forbidden_leaves_nothing_behind(redis_server, namespace, obstacle):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace, cap_nano_usd=5 if obstacle == "cap" else None)
        await client.set(f"{namespace}:breaker", "OPENAI_AUTH_ERROR", ex=100)
        if obstacle in {"cooldown", "probe"}:
            await client.set(
                f"{namespace}:{'cooldown:gpt' if obstacle == 'cooldown' else 'breaker:probe'}", 1
            )
        before = sorted(await client.keys(f"{namespace}:*"))
        departed = await Bookings(steps).depart("h", 10, most_begun=0 if obstacle == "attempts" else 9)
        return departed.left, before, sorted(await client.keys(f"{namespace}:*"))

    has_left, before, after = run(redis_server, scenario)

    assert not has_left
    assert before == after


def test_a_ledger_that_holds_no_number_is_named_as_what_is_in_the_way(redis_server, redis_client, namespace):
    redis_client.set(f"{namespace}:ledger:job", "three")

    with pytest.raises(RedisUnavailable) as refused:
        run(redis_server, lambda _, batches: Bookings(some_steps(batches, namespace)).depart())

    assert refused.value.cause is Cause.WRONG_TYPE


def test_a_request_leaves_for_the_claim_that_is_held_and_once_however_often_it_is_told(
    redis_server, namespace
):
    async def scenario(_, batches):
        steps = some_steps(batches, namespace)
        assert await Bookings(steps).ours("a")
        return [await steps.depart(Departure("job", "h", "gpt", 1, 60, 9, token="a")) for _ in range(2)]

    assert run(redis_server, scenario) == [Departed(left=True, begun=1)] * 2


@pytest.mark.parametrize("how", ["taken over", "answered", "gone"])
def test_no_request_leaves_for_a_job_that_is_no_longer_claimed(redis_server, namespace, how):
    async def scenario(client, batches):
        first, second = (some_steps(batches, namespace, worker_id=each) for each in ("w1", "w2"))
        await Bookings(first).ours("a")
        assert (await Bookings(second).ours("b")) is (how == "taken over")  # w1 was never heard
        if how == "answered":
            # By one that had it before, and was overtaken.
            await second.arrive(Arrival("job", answer='"text"', ending=Ending("c", concluded=True)))
        if how == "gone":
            await client.delete(f"{namespace}:claim:job")
        departed = await first.depart(Departure("job", "h", "gpt", 1, 60, 9, token="a"))
        return departed, await client.exists(f"{namespace}:budget:holds", f"{namespace}:ledger:job")

    if how != "taken over":
        # It lives.
        with open_sync(redis_server.url) as living:
            living.zadd(f"{namespace}:workers", {"w1": living.time()[0]})

    departed, left_behind = run(redis_server, scenario)

    assert (departed.left, departed.unclaimed, left_behind) == (False, True, 0)


def test_who_waits_for_a_claim_is_woken_when_it_is_given_back_and_does_not_ask_meanwhile(
    redis_server, redis_client, namespace
):
    async def scenario(_, batches):
        first, second = (
            Bookings(some_steps(RedisBatches(batches.client), namespace, worker_id=each))
            for each in ("w1", "w2")
        )
        assert await first.ours("a")
        async with second.steps.released("job") as released, second.steps.released("another") as another:
            for event in (released, another):  # it listens now
                await event.wait()
                event.clear()
            await first.release("job", "a", concluded=True)
            async with asyncio.timeout(1):  # less than the pause after which it looks for itself
                await released.wait()
            return another.is_set(), await second.ours("b")

    assert run(redis_server, scenario) == (False, True)


def test_who_waits_for_a_claim_looks_again_when_nothing_can_be_heard(redis_server, namespace):
    async def scenario(client, batches):
        steps = some_steps(batches, namespace)
        async with steps.released("job") as released:
            await released.wait()
            released.clear()
            with open_sync(redis_server.url) as other:
                other.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            async with asyncio.timeout(10):
                await released.wait()
        return await client.pubsub_numsub(f"{namespace}:released")

    run(redis_server, scenario)


def test_it_listens_only_while_somebody_waits(redis_server, redis_client, namespace):
    channel = f"{namespace}:released"

    async def scenario(_, batches):
        steps = some_steps(batches, namespace)
        for _ in range(2):
            async with steps.released("job") as released:
                await released.wait()
                assert redis_client.pubsub_numsub(channel)[0][1] == 1
            # Redis takes a moment to see a connection closed.
            await asyncio.to_thread(eventually, lambda: redis_client.pubsub_numsub(channel)[0][1] == 0)

    run(redis_server, scenario)
