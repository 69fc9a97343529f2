"""The spend cap in a real Redis: never overshot, whoever asks at once."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import StoreUnavailable
from tests.bookings import Bookings, some_steps
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.keys import BUDGET

CAP = 1_000_000


def run(redis_server, namespace, scenario, *, cap=CAP):
    async def composed():
        async with open_async(redis_server.url, timeout_seconds=5) as client:
            budget = Bookings(some_steps(RedisBatches(client), namespace, cap_nano_usd=cap))
            return await scenario(budget, client)

    return asyncio.run(composed())


async def account(client, namespace):
    found = {}
    async for key in client.scan_iter(f"{namespace}:budget:[0-9]*"):
        found |= {name.decode(): int(value) for name, value in (await client.hgetall(key)).items()}
    return found


async def clock_ms(client):
    seconds, micros = await client.time()
    return seconds * 1000 + micros // 1000


async def totals(client, namespace):
    sums = await account(client, namespace)
    return tuple(sums.get(what, 0) for what in ("spent", "held", "written_off"))


def test_never_exceeds_the_cap_with_many_at_once(redis_server, namespace):
    async def scenario(budget, client):
        granted = await asyncio.gather(*(budget.reserve(f"h{each}", 30_000) for each in range(200)))
        return sum(granted), await totals(client, namespace)

    granted, sums = run(redis_server, namespace, scenario)

    assert granted == CAP // 30_000
    assert sums == (0, granted * 30_000, 0)


def test_settling_frees_what_was_not_spent_and_twice_changes_nothing(redis_server, namespace):
    async def scenario(budget, client):
        assert await budget.reserve("h", 900_000)
        assert not await budget.reserve("other", 200_000)
        await budget.settle("h", 100_000, known=True)
        await budget.settle("h", 100_000, known=True)
        assert await budget.reserve("other", 200_000)
        return await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == (100_000, 200_000, 0)


async def by_rule(client, namespace):
    sums = await account(client, namespace)
    return {name.removeprefix("rule:"): each for name, each in sums.items() if name.startswith("rule:")}


def test_what_is_settled_is_summed_by_rule_once_whether_it_is_known_or_not(redis_server, namespace):
    async def scenario(budget, client):
        settled = [("a", 5, True, "x"), ("b", 7, False, "x"), ("c", 11, True, "y: z"), ("d", 0, True, "z")]
        for reservation_id, spent, known, rule in (*settled, ("e", 13, True, "")):
            await budget.reserve(reservation_id, 20)
            for _ in range(2):
                await budget.settle(reservation_id, spent, known=known, rule=rule)
        return await by_rule(client, namespace), await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == ({"x": 12, "y: z": 11}, (29, 0, 7))


def test_what_a_lost_worker_held_is_of_no_rule(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("h", 900_000, seconds=0)
        await budget.settle("nothing", 1, known=True, rule="x")
        return await by_rule(client, namespace), await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == ({}, (0, 0, 900_000))


def test_a_rule_that_finds_no_room_is_summed_with_all_but_not_by_itself(redis_server, namespace):
    async def scenario(budget, client):
        for number in range(BUDGET.kept):
            await budget.reserve(f"h{number}", 1)
            await budget.settle(f"h{number}", 1, known=True, rule=f"rule-{number}")
        for name in ("rule-0", "late"):
            await budget.reserve(name, 5)
            await budget.settle(name, 5, known=True, rule=name)
        return await account(client, namespace)

    found = run(redis_server, namespace, scenario)

    assert len(found) == BUDGET.kept
    assert (found["rule:rule-0"], found["spent"]) == (6, BUDGET.kept + 10)
    assert "rule:late" not in found


def test_a_rule_whose_sum_cannot_be_read_leaves_the_whole_hold_to_run_out(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("h", 5)
        (key,) = [each async for each in client.scan_iter(f"{namespace}:budget:[0-9]*")]
        await client.hset(key, "rule:x", "NaN")
        await budget.settle("h", 5, known=True, rule="x")
        return await client.hmget(key, "held", "spent"), await client.hkeys(f"{namespace}:budget:holds")

    assert run(redis_server, namespace, scenario) == ([b"5", None], [b"h"])


def test_an_unknown_outcome_is_written_off_and_counts(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("h", 900_000)
        await budget.settle("h", 900_000, known=False)
        return await budget.reserve("other", 200_000), await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == (False, (0, 0, 900_000))


def test_a_hold_that_nobody_settles_is_written_off_and_counts(redis_server, namespace):
    expiry = f"{namespace}:budget:expiry"

    async def scenario(budget, client):
        began_ms = await clock_ms(client)
        await budget.reserve("lost", 900_000, seconds=60)
        runs_out_ms = await client.zscore(expiry, "lost")
        assert began_ms + 60_000 <= runs_out_ms <= await clock_ms(client) + 60_000
        # A minute passes.
        await client.zincrby(expiry, -60_000, "lost")
        return await budget.reserve("other", 200_000), await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == (False, (0, 0, 900_000))


def test_reserving_the_same_hold_twice_holds_it_once(redis_server, namespace):
    async def scenario(budget, client):
        assert await budget.reserve("h", 600_000)
        assert await budget.reserve("h", 600_000)
        return await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == (0, 600_000, 0)


def test_the_account_is_kept_for_each_model_and_without_a_cap_too(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("a", 10, model="luna: 5 6")
        await budget.reserve("b", 10**15, model="sol")
        await budget.settle("a", 7, known=True)
        return await account(client, namespace)

    sums = run(redis_server, namespace, scenario, cap=None)

    assert (sums["spent"], sums["spent:luna: 5 6"], sums["held:luna: 5 6"]) == (7, 7, 0)
    assert (sums["held"], sums["held:sol"]) == (10**15, 10**15)


@pytest.mark.parametrize(
    ("cap", "dial", "amount", "granted"),
    [
        (None, b"0.000001", 1000, True),
        (None, b"0.000001", 1001, False),
        (500, b"1", 501, False),
        (10**12, b"0.5", 500_000_001, False),
        (10**12, b"0.5", 500_000_000, True),
        (None, b"0", 1, False),
        (10**12, b"", 1, False),
        (10**12, b"lots", 1, False),
        (None, b"-1", 1, False),
        (None, b"1e9", 1, False),
        (None, b"nan", 1, False),
        (None, b" 5", 1, False),
        (None, b"9" * 20, 1, False),
        (None, b"0" * 14 + b"1", 10**9, True),
        (None, b"0" * 15 + b"1", 1, False),
        # Less than half a nano-dollar is none.
        (None, b"0.0000000014", 1, True),
        (None, b"0.0000000014", 2, False),
        (0, b"1", 1, False),
    ],
)
def test_the_strictest_cap_holds_and_a_malformed_one_denies(
    redis_server, namespace, cap, dial, amount, granted
):
    async def scenario(budget, client):
        await client.set(f"{namespace}:budget_usd", dial)
        return await budget.reserve(amount=amount)

    assert run(redis_server, namespace, scenario, cap=cap) is granted


def test_a_cap_of_another_type_denies(redis_server, namespace):
    async def scenario(budget, client):
        await client.lpush(f"{namespace}:budget_usd", "5")
        return await budget.reserve()

    assert run(redis_server, namespace, scenario, cap=10**12) is False


def test_a_cap_of_nothing_denies_everything(redis_server, namespace):
    async def scenario(budget, _):
        return await budget.reserve()

    assert run(redis_server, namespace, scenario, cap=0) is False


def test_a_redis_that_cannot_be_asked_is_unknown_not_exceeded(namespace):
    async def scenario():
        async with open_async("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
            budget = Bookings(some_steps(RedisBatches(client), namespace, cap_nano_usd=CAP))
            await budget.reserve()

    with pytest.raises(StoreUnavailable):
        asyncio.run(scenario())


def test_what_was_spent_counts(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("h", 900_000)
        await budget.settle("h", 900_000, known=True)
        return await budget.reserve("other", 100_001), await budget.reserve("other", 100_000)

    assert run(redis_server, namespace, scenario) == (False, True)


def test_an_account_is_that_of_the_window_and_outlives_it_by_another_and_a_day(redis_server, namespace):
    async def scenario(budget, client):
        before, _ = await client.time()
        await budget.reserve()
        after, _ = await client.time()
        (key,) = [each async for each in client.scan_iter(f"{namespace}:budget:[0-9]*")]
        return before, int(key.decode().rpartition(":")[2]), after, await client.ttl(key)

    before, start, after, left_seconds = run(redis_server, namespace, scenario)

    assert start in {before - before % 86_400, after - after % 86_400}
    assert 3 * 86_400 - 60 < left_seconds <= 3 * 86_400


def test_a_hold_that_is_settled_leaves_nothing_behind(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("h")
        open_holds = [key.decode() for key in await client.keys(f"{namespace}:budget:[a-z]*")]
        await budget.settle("h", 1, known=True)
        return sorted(open_holds), await client.keys(f"{namespace}:budget:[a-z]*")

    reservations = [f"{namespace}:budget:expiry", f"{namespace}:budget:holds"]
    assert run(redis_server, namespace, scenario) == (reservations, [])


def test_an_end_without_a_hold_is_forgotten(redis_server, namespace):
    async def scenario(budget, client):
        await client.zadd(f"{namespace}:budget:expiry", {"settled by an older version": 1})
        granted = await budget.reserve()
        return (
            granted,
            await client.zrange(f"{namespace}:budget:expiry", 0, -1),
            await totals(client, namespace),
        )

    assert run(redis_server, namespace, scenario) == (True, [b"h"], (0, 1, 0))


def test_a_hundred_holds_that_have_run_out_are_written_off_at_once(redis_server, namespace):
    expiry = f"{namespace}:budget:expiry"

    async def scenario(budget, client):
        for each in range(101):
            await budget.reserve(f"h{each}")
        await client.zadd(expiry, {f"h{each}": 1 for each in range(101)})
        left = []
        for _ in range(2):
            await budget.settle("no hold", 1, known=True)
            left.append(await client.zcard(expiry))
        return left, await totals(client, namespace)

    assert run(redis_server, namespace, scenario) == ([1, 0], (0, 0, 101))


def test_an_account_that_a_hold_outlived_ends_as_well(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("h")
        (key,) = [each async for each in client.scan_iter(f"{namespace}:budget:[0-9]*")]
        await client.delete(key)
        await budget.settle("h", 1, known=True)
        return await client.ttl(key)

    left_seconds = run(redis_server, namespace, scenario)

    assert 0 < left_seconds <= 86_400


@pytest.mark.parametrize(("dial", "cap"), [(None, CAP), (b"0.0005", 500_000), (b"lots", -1)])
def test_says_the_cap_in_force_and_what_is_used_of_it(redis_server, namespace, dial, cap):
    async def scenario(budget, client):
        await budget.reserve("a", 1000)
        await budget.reserve("b", 200)
        await budget.settle("b", 30, known=True)
        if dial:
            await client.set(f"{namespace}:budget_usd", dial)
        denied = await budget.depart("c", 10**18)
        return denied.left, denied.uncovered

    assert run(redis_server, namespace, scenario) == (False, (cap, 1030))


@pytest.mark.parametrize("what", ["spent", "held", "written_off"])
@pytest.mark.parametrize("foreign", [b"NaN", b"-inf", b"", b"1e3", b"9" * 30, b"\xff", b"[1]"])
def test_an_account_that_cannot_be_read_covers_no_call(redis_server, namespace, what, foreign):
    async def scenario(budget, client):
        assert await budget.reserve("before", 1)
        (key,) = [each async for each in client.scan_iter(f"{namespace}:budget:[0-9]*")]
        await client.hset(key, what, foreign)
        return await budget.reserve("after", 1)

    assert run(redis_server, namespace, scenario) is False


@pytest.mark.parametrize(("what", "before"), [("spent:gpt", "0"), ("held:gpt", "70")])
def test_what_cannot_be_booked_is_kept_until_it_can(redis_server, namespace, what, before):
    async def scenario(budget, client):
        await budget.reserve("h", 70)
        (key,) = [each async for each in client.scan_iter(f"{namespace}:budget:[0-9]*")]
        await client.hset(key, what, "NaN")
        await budget.settle("h", 60, known=True)
        held = await client.hget(f"{namespace}:budget:holds", "h")
        sums = await client.hmget(key, "spent", "held")
        await client.hset(key, what, before)
        await budget.settle("h", 60, known=True)
        return held.split()[1:], sums, await totals(client, namespace)

    held, sums, settled = run(redis_server, namespace, scenario)

    assert (held, sums) == ([b"70", b"gpt"], [None, b"70"])
    assert settled == (60, 0, 0)


def test_a_hold_of_somebody_else_s_is_passed_over(redis_server, namespace):
    async def scenario(budget, client):
        await client.hset(f"{namespace}:budget:holds", mapping={"x": "no hold", "y": ""})
        await client.zadd(f"{namespace}:budget:expiry", {"x": 1, "y": 1, "z": 1})
        return await budget.reserve(), await client.hlen(f"{namespace}:budget:holds")

    assert run(redis_server, namespace, scenario) == (True, 3)


def test_a_clock_that_went_back_holds_no_money_for_longer_than_a_day(redis_server, namespace):
    async def scenario(budget, client):
        await budget.reserve("old", 10)
        await client.zadd(f"{namespace}:budget:expiry", {"old": await clock_ms(client) + 30 * 86_400_000})
        await budget.reserve("new", 10)
        return await client.zscore(f"{namespace}:budget:expiry", "old") - await clock_ms(client)

    left_ms = run(redis_server, namespace, scenario)

    assert left_ms == pytest.approx(86_400_000, abs=5000)


def test_no_request_leaves_whose_hold_could_not_be_settled(redis_server, namespace):
    async def scenario(budget, client):
        assert await budget.reserve("before", 5)
        (key,) = [each async for each in client.scan_iter(f"{namespace}:budget:[0-9]*")]
        await client.hset(key, "held:gpt", "NaN")
        with pytest.raises(StoreUnavailable, match="has a key of another type"):
            await budget.reserve("after", 5)
        return await client.hget(key, "held"), await client.hkeys(f"{namespace}:budget:holds")

    assert run(redis_server, namespace, scenario) == (b"5", [b"before"])
