"""When a request may leave: after the cooldown, one ahead of all, a probe while the account is refused."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import ErrorCode, Failed, ModelError
from tasks.limits.rate_limiter import RateLimiter
from tasks.ports import Arrival, Departure
from tests.fakes import clock
from tests.fakes.ports import FakeSteps, FakeTraffic

QUOTA = ModelError(ErrorCode.OPENAI_QUOTA_EXHAUSTED)


def limited(seconds):
    return ModelError(ErrorCode.OPENAI_RATE_LIMITED, retryable=True, retry_after_seconds=seconds)


class Fleet:
    """One worker's rate limiter, by whose word the fleet's cooldown and breaker go."""

    def __init__(self, limits, model="gpt", **options):
        self.limits, self.model = limits, model
        self.limiter = RateLimiter(**options)
        self.steps = FakeSteps(traffic=limits)

    async def acquire(self):
        departure = Departure("job", "id", self.model, 0, 600, 10**6)
        return (await self.limiter.depart(lambda: self.steps.depart(departure))).probe

    async def answered(self, *, probe):
        self.limiter.answered()
        await self.steps.arrive(Arrival("job", closes_breaker=probe))

    async def failed(self, error):
        seconds, refused = self.limiter.failed(error)
        await self.steps.arrive(Arrival("job", model=self.model, cooldown_seconds=seconds, opened_by=refused))
        return seconds > 0


def play(scenario):
    return clock.run(scenario(Fleet(FakeTraffic())))


async def departures(rate_limiter, number):
    """Let `number` requests ask to leave, and return what will have the times at which they did."""
    left = []

    async def request():
        await rate_limiter.acquire()
        left.append(clock.now_mono())

    requests = [asyncio.ensure_future(request()) for _ in range(number)]
    await clock.idle()
    return left, asyncio.gather(*requests)


def test_one_goes_ahead_and_the_others_follow_its_answer():
    async def scenario(rate_limiter):
        await rate_limiter.acquire()
        left, all_left = await departures(rate_limiter, 5)
        waited = list(left)
        await asyncio.sleep(0.9)
        waited += left
        await rate_limiter.answered(probe=False)
        await all_left
        return waited, left

    waited, left = play(scenario)
    assert (waited, left) == ([], [0.9] * 5)


def test_the_others_do_not_wait_for_a_slow_answer():
    async def scenario(rate_limiter):
        await rate_limiter.acquire()
        left, all_left = await departures(rate_limiter, 5)
        await all_left
        return left

    # A refusal would have come by then.
    assert play(scenario) == [1.0] * 5


def test_a_cooldown_holds_everyone_back_and_one_goes_ahead_afterwards():
    async def scenario(rate_limiter):
        await rate_limiter.acquire()
        await rate_limiter.answered(probe=False)
        assert await rate_limiter.failed(limited(40))
        left, all_left = await departures(rate_limiter, 20)
        await asyncio.sleep(40.5)
        after_cooldown = list(left)
        await rate_limiter.answered(probe=False)
        await all_left
        return after_cooldown, left

    after_cooldown, left = play(scenario)
    assert after_cooldown == [40]
    assert left == [40, *[40.5] * 19]


def test_an_answer_to_what_was_sent_before_the_cooldown_opens_nothing():
    async def scenario(rate_limiter):
        await rate_limiter.acquire()
        await rate_limiter.answered(probe=False)
        await rate_limiter.failed(limited(20))
        await rate_limiter.answered(probe=False)
        await asyncio.sleep(25)
        left, all_left = await departures(rate_limiter, 2)
        await all_left
        return left

    # The second waits until the first one has not been refused in time.
    assert play(scenario) == [25, 26]


def test_another_workers_cooldown_holds_too():
    async def scenario(rate_limiter):
        other = Fleet(rate_limiter.limits)
        await other.acquire()
        await other.failed(limited(30))
        await rate_limiter.acquire()
        return clock.now_mono()

    assert play(scenario) == 30


def test_another_model_is_not_held_back():
    async def scenario(rate_limiter):
        other = Fleet(rate_limiter.limits, "another")
        await other.acquire()
        await other.failed(limited(60))
        await rate_limiter.acquire()
        return clock.now_mono()

    assert play(scenario) == 0


@pytest.mark.parametrize("code", [ErrorCode.OPENAI_QUOTA_EXHAUSTED, ErrorCode.OPENAI_AUTH_ERROR])
def test_a_terminal_error_stops_the_fleet_until_a_probe_is_answered(code):
    async def scenario(rate_limiter):
        assert not await rate_limiter.failed(ModelError(code))
        with pytest.raises(Failed) as refused:
            await rate_limiter.acquire()
        rate_limiter.limits.probes = 1
        probe = await rate_limiter.acquire()
        with pytest.raises(Failed):
            await rate_limiter.acquire()
        await rate_limiter.answered(probe=probe)
        return refused.value.code, probe, await rate_limiter.acquire()

    assert play(scenario) == (code, True, False)


@pytest.mark.parametrize(
    "error", [limited(None), ModelError(ErrorCode.OPENAI_SERVER_ERROR, retryable=True, retry_after_seconds=9)]
)
def test_what_names_no_time_or_is_no_rate_limit_holds_nobody_back(error):
    async def scenario(rate_limiter):
        await rate_limiter.acquire()
        assert not await rate_limiter.failed(error)
        await asyncio.gather(*(rate_limiter.acquire() for _ in range(5)))

    play(scenario)


def test_no_server_holds_anybody_back_for_longer_than_the_longest_cooldown():
    async def scenario(limits):
        rate_limiter = Fleet(limits, longest_seconds=600)
        await rate_limiter.failed(limited(1e18))
        left, all_left = await departures(rate_limiter, 3)
        await all_left
        return left

    # One ahead, the others a moment later.
    assert clock.run(scenario(FakeTraffic())) == [600, 601, 601]


def test_a_cooldown_that_is_cleared_ends_for_those_who_wait():
    async def scenario(rate_limiter):
        await rate_limiter.failed(limited(300))
        left, all_left = await departures(rate_limiter, 3)
        await asyncio.sleep(12)
        rate_limiter.limits.until.clear()
        await all_left
        return left

    assert play(scenario) == [15, 16, 16]
