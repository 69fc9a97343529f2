"""The brake of one loop: what is in flight when it comes on is cancelled, and nothing takes off after."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import ErrorCode, Stubbed
from tasks.limits.brake import Brake
from tests.fakes import clock


async def forever() -> None:
    await asyncio.Event().wait()


async def a_request(brake: Brake, asked_mono: float) -> str:
    brake.check_before_request(asked_mono)
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
        assert await brake.run_cancellable(a_request(brake, clock.now_mono())) == "sent"
        assert brake.reason is None

    clock.run(scenario())


def test_lets_a_call_through_once_confirmed_off():
    async def scenario() -> None:
        brake, halts = a_brake()
        brake.release(clock.now_mono())
        assert await brake.run_cancellable(soon(7)) == 7
        assert halts == []

    clock.run(scenario())


def test_cancels_everything_in_flight_and_says_how_long_it_took():
    async def scenario() -> None:
        brake, halts = a_brake()
        brake.release(clock.now_mono())

        async def slow_to_close(seconds: float) -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(seconds)

        calls = [asyncio.create_task(brake.run_cancellable(slow_to_close(each / 100))) for each in range(100)]
        await clock.idle()

        assert brake.engage(ErrorCode.KILL_SWITCH, seen_mono=clock.now_mono() - 2) == 100
        ended = await asyncio.gather(*calls, return_exceptions=True)

        assert {each.code for each in ended} == {ErrorCode.KILL_SWITCH}
        # From when the brake was seen, two seconds ago, until the last one had closed.
        assert halts == [(100, pytest.approx(2.99))]

    clock.run(scenario())


def test_a_read_from_before_the_brake_came_on_clears_nothing():
    async def scenario() -> None:
        brake, halts = a_brake()
        asked_mono = clock.now_mono()
        await asyncio.sleep(0.2)  # the read's round trip
        brake.engage(ErrorCode.KILL_SWITCH)
        with pytest.raises(Stubbed) as refused:
            await brake.run_cancellable(a_request(brake, asked_mono))
        assert refused.value.code is ErrorCode.KILL_SWITCH
        brake.release(asked_mono)
        assert brake.reason is ErrorCode.KILL_SWITCH
        assert halts == []

    clock.run(scenario())


def test_a_read_from_the_very_moment_at_which_the_brake_came_on_clears_nothing():
    async def scenario() -> None:
        brake, _ = a_brake()
        brake.engage(ErrorCode.KILL_SWITCH)
        brake.release(clock.now_mono())
        assert brake.reason is ErrorCode.KILL_SWITCH

    clock.run(scenario())


def test_a_read_from_after_the_brake_came_on_is_news():
    async def scenario() -> None:
        brake, _ = a_brake()
        brake.engage(ErrorCode.KILL_SWITCH)
        clock.advance(0.001)
        assert await brake.run_cancellable(a_request(brake, clock.now_mono())) == "sent"
        assert brake.reason is None

    clock.run(scenario())


def test_engages_itself_when_nobody_confirms_it_off():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=5)
        brake.release(clock.now_mono())
        with pytest.raises(Stubbed) as halted:
            await brake.run_cancellable(forever())
        assert halted.value.code is ErrorCode.KILL_UNVERIFIED
        assert clock.now_mono() == 5
        assert halts == [(1, 0)]

    clock.run(scenario())


def test_every_confirmation_buys_another_grace_period():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=5)
        brake.release(clock.now_mono())
        call = asyncio.create_task(brake.run_cancellable(forever()))
        for _ in range(10):
            await asyncio.sleep(4.9)
            assert (brake.reason, halts) == (None, [])
            brake.release(clock.now_mono())
        with pytest.raises(Stubbed):
            await call
        assert clock.now_mono() == pytest.approx(10 * 4.9 + 5)

    clock.run(scenario())


def test_a_slow_read_that_found_the_dial_off_releases_a_brake_that_engaged_itself():
    async def scenario() -> None:
        brake, _ = a_brake(grace_seconds=5)
        brake.release(clock.now_mono())
        await asyncio.sleep(4)
        asked_mono = clock.now_mono()
        await asyncio.sleep(2)
        assert brake.reason is ErrorCode.KILL_UNVERIFIED
        brake.release(asked_mono)
        assert brake.reason is None

    clock.run(scenario())


def test_an_old_confirmation_is_worth_only_what_is_left_of_it():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=5)
        brake.release(clock.now_mono() - 4)
        with pytest.raises(Stubbed):
            await brake.run_cancellable(forever())
        assert clock.now_mono() == 1
        assert [number for number, _ in halts] == [1]

    clock.run(scenario())


def test_a_confirmation_that_has_run_out_already_lets_nothing_stay_in_flight():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=5)
        brake.release(clock.now_mono() - 6)
        with pytest.raises(Stubbed):
            await brake.run_cancellable(forever())
        assert clock.now_mono() == 0
        assert [number for number, _ in halts] == [1]

    clock.run(scenario())


def test_a_late_report_of_an_old_read_does_not_shorten_a_newer_confirmation():
    async def scenario() -> None:
        brake, halts = a_brake(grace_seconds=5)
        brake.release(clock.now_mono())
        brake.release(clock.now_mono() - 10)
        assert await brake.run_cancellable(asyncio.sleep(4.9, "done")) == "done"
        assert (brake.reason, halts) == (None, [])

    clock.run(scenario())


def test_a_deadline_of_the_caller_is_not_mistaken_for_the_brake():
    async def scenario() -> None:
        brake, halts = a_brake()
        brake.release(clock.now_mono())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await brake.run_cancellable(forever())
        assert halts == []

    clock.run(scenario())


def test_cancels_the_calls_even_when_their_connections_cannot_be_cut():
    async def scenario() -> None:
        def broken() -> None:
            raise OSError("no such connection")

        brake = Brake(5.0, lambda *_: None, broken)
        brake.release(clock.now_mono())
        call = asyncio.create_task(brake.run_cancellable(forever()))
        await clock.idle()
        with pytest.raises(OSError, match="no such connection"):
            brake.engage(ErrorCode.KILL_SWITCH)
        with pytest.raises(Stubbed):
            await call

    clock.run(scenario())


def test_a_call_is_in_its_reach_until_it_has_ended_or_closed():
    async def scenario() -> None:
        brake, _ = a_brake()
        brake.release(clock.now_mono())
        calls = [asyncio.create_task(brake.run_cancellable(call)) for call in (soon(7), forever())]
        await clock.idle()
        assert brake.in_flight == 1
        brake.engage(ErrorCode.KILL_SWITCH)
        await asyncio.gather(*calls, return_exceptions=True)
        assert brake.in_flight == 0

    clock.run(scenario())


def test_says_whether_it_came_on_before_the_request_or_during_it():
    async def scenario() -> None:
        brake, _ = a_brake()
        brake.release(clock.now_mono())
        call = asyncio.create_task(brake.run_cancellable(forever()))
        await clock.idle()
        brake.engage(ErrorCode.KILL_SWITCH)
        with pytest.raises(Stubbed) as during:
            await call
        with pytest.raises(Stubbed) as before:
            brake.check_before_request(clock.now_mono())
        assert during.value.detail == "the brake came on while the call was in flight"
        assert before.value.detail == "the brake came on a moment ago"

    clock.run(scenario())


def test_a_halt_with_nothing_in_flight_halts_no_call_and_is_none_to_tell_of():
    async def scenario() -> None:
        brake, halts = a_brake()
        assert brake.engage(ErrorCode.KILL_SWITCH) == 0
        await brake.drained()
        assert halts == []

    clock.run(scenario())


def test_each_halt_counts_its_own_calls():
    async def scenario() -> None:
        brake, halts = a_brake()
        for number in (1, 2):
            clock.advance(1)
            brake.release(clock.now_mono())
            calls = [asyncio.create_task(brake.run_cancellable(forever())) for _ in range(number)]
            await clock.idle()
            assert brake.engage(ErrorCode.KILL_SWITCH) == number
            await asyncio.gather(*calls, return_exceptions=True)
        assert [number for number, _ in halts] == [1, 2]

    clock.run(scenario())


def test_a_halt_that_meets_another_still_closing_is_one_with_it():
    async def scenario() -> None:
        brake, halts = a_brake()
        closing = asyncio.Event()

        async def slow_to_close() -> None:
            try:
                await forever()
            finally:
                await closing.wait()

        calls = []
        for number in (1, 2):
            clock.advance(1)
            brake.release(clock.now_mono())
            calls += [asyncio.create_task(brake.run_cancellable(slow_to_close())) for _ in range(number)]
            await clock.idle()
            assert brake.engage(ErrorCode.KILL_SWITCH) == number
            await clock.idle()
        closing.set()
        await asyncio.gather(*calls, return_exceptions=True)
        assert [number for number, _ in halts] == [3]

    clock.run(scenario())
