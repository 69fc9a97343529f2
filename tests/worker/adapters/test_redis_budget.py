"""The spend cap in a real Redis: never overshot, whoever asks at once."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import StoreUnavailable
from worker.adapters.redis_budget import RedisBudget
from worker.adapters.redis_clients import open_async

CAP = 1_000_000


def run(redis_server, namespace, scenario, *, cap=CAP):
    async def composed():
        async with open_async(redis_server.url, timeout_seconds=5, max_connections=20) as client:
            denied = []
            budget = RedisBudget(client, namespace, cap, 86_400, lambda: denied.append(1), {})
            result = await scenario(budget, client)
            return result, len(denied)

    return asyncio.run(composed())


async def committed(client, namespace):
    (key,) = [key async for key in client.scan_iter(f"{namespace}:budget:*")]
    account = await client.hgetall(key)
    holds = [name for name in account if name.startswith(b"hold:")]
    return int(account[b"committed"]), len(holds)


def test_never_exceeds_the_cap_with_many_at_once(redis_server, namespace):
    async def scenario(budget, client):
        granted = await asyncio.gather(*(budget.reserve(f"h{each}", 30_000) for each in range(200)))
        return sum(granted), await committed(client, namespace)

    (granted, (spent, holds)), denied = run(redis_server, namespace, scenario)

    assert granted == holds == CAP // 30_000
    assert spent == granted * 30_000
    assert denied == 200 - granted


def test_settling_frees_what_was_not_spent_and_twice_changes_nothing(redis_server, namespace):
    async def scenario(budget, client):
        assert await budget.reserve("h", 900_000)
        assert not await budget.reserve("other", 200_000)
        await budget.settle("h", 100_000)
        await budget.settle("h", 100_000)
        assert await budget.reserve("other", 200_000)
        return await committed(client, namespace)

    assert run(redis_server, namespace, scenario)[0] == (300_000, 1)


def test_reserving_the_same_hold_twice_holds_it_once(redis_server, namespace):
    async def scenario(budget, client):
        assert await budget.reserve("h", 600_000)
        assert await budget.reserve("h", 600_000)
        return await committed(client, namespace)

    assert run(redis_server, namespace, scenario)[0] == (600_000, 1)


def test_a_cap_of_nothing_denies_everything(redis_server, namespace):
    async def scenario(budget, _):
        return await budget.reserve("h", 1)

    assert run(redis_server, namespace, scenario, cap=0) == (False, 1)


def test_a_redis_that_cannot_be_asked_is_unknown_not_exceeded(namespace):
    async def scenario():
        async with open_async("redis://127.0.0.1:1/0", timeout_seconds=0.2, max_connections=2) as client:
            denied = []
            budget = RedisBudget(client, namespace, CAP, 86_400, lambda: denied.append(1), {})
            with pytest.raises(StoreUnavailable):
                await budget.reserve("h", 1)
            return denied

    assert asyncio.run(scenario()) == []
