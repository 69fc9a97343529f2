"""The brake of one loop: what is in flight when it comes on is cancelled, and nothing takes off after."""

from __future__ import annotations

import asyncio
import time

import pytest

from tasks.brake import Brake
from tasks.errors import ErrorCode, Stubbed


async def forever() -> None:
    await asyncio.Event().wait()


async def a_request(brake: Brake, asked_mono: float) -> str:
    brake.clear_for_request(asked_mono)
    return "sent"


async def soon(value: int) -> int:
    await asyncio.sleep(0)
    return value


def a_brake(grace_seconds: float = 5.0) -> tuple[Brake, list[tuple[int, float]]]:
    halts: list[tuple[int, float]] = []
    return Brake(grace_seconds, lambda number, seconds: halts.append((number, seconds))), halts


def test_starts_on_until_the_dial_was_read_once():
    async def scenario() -> None:
        brake, _ = a_brake()
        assert brake.reason is ErrorCode.KILL_UNVERIFIED
        assert await brake.fly(a_request(brake, time.monotonic())) == "sent"
        assert brake.reason is None

    asyncio.run(scenario())


def test_lets_a_call_through_once_confirmed_off():
    async def scenario() -> None:
        brake, halts = a_brake()
        brake.release(time.monotonic())
        assert await brake.fly(soon(7)) == 7
        assert halts == []

    asyncio.run(scenario())


def test_cancels_everything_in_flight_and_says_how_long_it_took():
    async def scenario() -> None:
        brake, halts = a_brake()
        brake.release(time.monotonic())
        calls = [asyncio.create_task(brake.fly(forever())) for _ in range(100)]
        await asyncio.sleep(0)

        brake.engage(ErrorCode.KILL_SWITCH)
        ended = await asyncio.gather(*calls, return_exceptions=True)

        assert {each.code for each in ended} == {ErrorCode.KILL_SWITCH}
        ((number, seconds),) = halts
        assert number == 100
        assert 0 <= seconds < 5

    asyncio.run(scenario())


def test_a_read_from_before_the_brake_came_on_clears_nothing():
    async def scenario() -> None:
        brake, halts = a_brake()
        asked_mono = time.monotonic()
        brake.engage(ErrorCode.KILL_SWITCH)
        with pytest.raises(Stubbed) as refused:
            await brake.fly(a_request(brake, asked_mono))
        assert refused.value.code is ErrorCode.KILL_SWITCH
        brake.release(asked_mono)
        assert brake.reason is ErrorCode.KILL_SWITCH
        assert halts == []

    asyncio.run(scenario())


def test_a_read_from_after_the_brake_came_on_is_news():
    async def scenario() -> None:
        brake, _ = a_brake()
        brake.engage(ErrorCode.KILL_SWITCH)
        await asyncio.sleep(0.001)
        assert await brake.fly(a_request(brake, time.monotonic())) == "sent"
        assert brake.reason is None

    asyncio.run(scenario())


def test_engages_itself_when_nobody_confirms_it_off():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=0.05)
        brake.release(time.monotonic())
        with pytest.raises(Stubbed) as halted:
            await brake.fly(forever())
        assert halted.value.code is ErrorCode.KILL_UNVERIFIED
        assert [number for number, _ in halts] == [1]

    asyncio.run(scenario())


def test_every_confirmation_buys_another_grace_period():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=0.3)
        brake.release(time.monotonic())
        call = asyncio.create_task(brake.fly(asyncio.sleep(0.5, "done")))
        for _ in range(5):
            await asyncio.sleep(0.1)
            brake.release(time.monotonic())
        assert await call == "done"
        assert halts == []

    asyncio.run(scenario())


def test_an_old_confirmation_is_worth_only_what_is_left_of_it():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=0.2)
        brake.release(time.monotonic() - 1)
        with pytest.raises(Stubbed):
            await brake.fly(forever())
        assert [number for number, _ in halts] == [1]

    asyncio.run(scenario())


def test_a_late_report_of_an_old_read_does_not_shorten_a_newer_confirmation():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=0.3)
        brake.release(time.monotonic())
        brake.release(time.monotonic() - 10)
        assert await brake.fly(asyncio.sleep(0.05, "done")) == "done"
        assert (brake.reason, halts) == (None, [])

    asyncio.run(scenario())


def test_a_deadline_of_the_caller_is_not_mistaken_for_the_brake():
    async def scenario() -> None:
        brake, halts = a_brake()
        brake.release(time.monotonic())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await brake.fly(forever())
        assert halts == []

    asyncio.run(scenario())


def test_cancels_the_calls_even_when_their_connections_cannot_be_cut():
    async def scenario() -> None:
        def broken() -> None:
            raise OSError("no such connection")

        brake = Brake(5.0, lambda *_: None, broken)
        brake.release(time.monotonic())
        call = asyncio.create_task(brake.fly(forever()))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="no such connection"):
            brake.engage(ErrorCode.KILL_SWITCH)
        with pytest.raises(Stubbed):
            await call

    asyncio.run(scenario())
