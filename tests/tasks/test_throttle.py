"""When a request may leave: after the cooldown, one ahead of all, a probe while the account is refused."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import ErrorCode, Failed, ModelError
from tasks.throttle import Throttle
from tests.fakes.ports import FakeTraffic

QUOTA = ModelError(ErrorCode.OPENAI_QUOTA_EXHAUSTED)


def limited(seconds):
    return ModelError(ErrorCode.OPENAI_RATE_LIMITED, retryable=True, retry_after_seconds=seconds)


def play(scenario):
    async def timed():
        async with asyncio.timeout(10):
            return await scenario(Throttle(FakeTraffic(), "gpt"))

    return asyncio.run(timed())


def test_one_goes_ahead_and_the_others_follow_its_answer():
    async def scenario(throttle):
        left = []

        async def request(name):
            await throttle.leave()
            left.append(name)

        await request("first")
        others = [asyncio.ensure_future(request(each)) for each in range(5)]
        await asyncio.sleep(0.05)
        waited = list(left)
        await throttle.answered(probe=False)
        await asyncio.gather(*others)
        return waited, len(left)

    assert play(scenario) == (["first"], 6)


def test_the_others_do_not_wait_for_a_slow_answer():
    async def scenario(throttle):
        await throttle.leave()
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(throttle.leave() for _ in range(5)))
        return asyncio.get_running_loop().time() - began

    # A refusal would have come by then.
    assert 0.8 < play(scenario) < 4


def test_a_cooldown_holds_everyone_back_and_one_goes_ahead_afterwards():
    async def scenario(throttle):
        loop, left = asyncio.get_running_loop(), []
        await throttle.leave()
        began = loop.time()
        assert await throttle.failed(limited(0.4))

        async def request():
            await throttle.leave()
            left.append(loop.time() - began)

        requests = [asyncio.ensure_future(request()) for _ in range(20)]
        await asyncio.sleep(0.5)
        after_cooldown = len(left)
        await throttle.answered(probe=False)
        await asyncio.gather(*requests)
        return min(left), after_cooldown, len(left)

    earliest, after_cooldown, all_left = play(scenario)
    assert earliest >= 0.4
    assert (after_cooldown, all_left) == (1, 20)


def test_an_answer_to_what_was_sent_before_the_cooldown_opens_nothing():
    async def scenario(throttle):
        await throttle.leave()
        await throttle.answered(probe=False)
        await throttle.failed(limited(0.2))
        await throttle.answered(probe=False)
        await asyncio.sleep(0.25)
        await throttle.leave()
        second = asyncio.ensure_future(throttle.leave())
        await asyncio.sleep(0.05)
        held = not second.done()
        await second
        return held

    assert play(scenario)


def test_another_workers_cooldown_holds_too():
    async def scenario(throttle):
        other = Throttle(throttle.traffic, "gpt")
        await other.leave()
        await other.failed(limited(0.3))
        began = asyncio.get_running_loop().time()
        await throttle.leave()
        return asyncio.get_running_loop().time() - began

    assert play(scenario) >= 0.29


def test_another_model_is_not_held_back():
    async def scenario(throttle):
        other = Throttle(throttle.traffic, "another")
        await other.leave()
        await other.failed(limited(60))
        await throttle.leave()

    play(scenario)


@pytest.mark.parametrize("code", [ErrorCode.OPENAI_QUOTA_EXHAUSTED, ErrorCode.OPENAI_AUTH_ERROR])
def test_a_terminal_error_stops_the_fleet_until_a_probe_is_answered(code):
    async def scenario(throttle):
        assert not await throttle.failed(ModelError(code))
        with pytest.raises(Failed) as refused:
            await throttle.leave()
        throttle.traffic.probes = 1
        probe = await throttle.leave()
        with pytest.raises(Failed):
            await throttle.leave()
        await throttle.answered(probe=probe)
        return refused.value.code, probe, await throttle.leave()

    assert play(scenario) == (code, True, False)


@pytest.mark.parametrize(
    "error", [limited(None), ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True, retry_after_seconds=9)]
)
def test_what_names_no_time_or_is_no_rate_limit_holds_nobody_back(error):
    async def scenario(throttle):
        await throttle.leave()
        assert not await throttle.failed(error)
        await asyncio.gather(*(throttle.leave() for _ in range(5)))

    play(scenario)
