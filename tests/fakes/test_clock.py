"""The stepped loop: time moves when nothing else can happen, and never while something does."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from tests.fakes import clock


def test_a_day_of_waiting_takes_a_moment_and_ends_in_the_order_of_its_timers():
    async def scenario():
        ended = []

        async def wait(seconds):
            await asyncio.sleep(seconds)
            ended.append((seconds, clock.now_mono()))

        await asyncio.gather(*(wait(seconds) for seconds in (86_400, 0.5, 30)))
        return ended

    assert clock.run(scenario()) == [(0.5, 0.5), (30, 30), (86_400, 86_400)]


def test_a_deadline_passes_when_nothing_else_happens():
    async def scenario():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return clock.now_mono()

    assert clock.run(scenario()) == 60


def test_idle_returns_once_all_others_wait():
    async def scenario():
        turns = []

        async def busy():
            for each in range(1000):
                await asyncio.sleep(0)
                turns.append(each)
            await asyncio.Event().wait()

        others = asyncio.ensure_future(busy())
        await clock.idle()
        others.cancel()
        return len(turns), clock.now_mono()

    assert clock.run(scenario()) == (1000, 0)


def test_time_stands_still_while_a_thread_is_at_work():
    async def scenario():
        go_on = threading.Event()
        timer = asyncio.ensure_future(asyncio.sleep(60))
        working = asyncio.ensure_future(asyncio.to_thread(go_on.wait, 10))
        for _ in range(100):
            await asyncio.sleep(0)
        assert (timer.done(), clock.now_mono()) == (False, 0)
        go_on.set()
        assert await working
        assert clock.now_mono() == 0
        await timer
        return clock.now_mono()

    assert clock.run(scenario()) == 60


def test_with_a_socket_open_time_moves_by_hand_alone():
    async def scenario():
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        with there:
            reading = asyncio.ensure_future(asyncio.wait_for(reader.read(1), 60))
            await asyncio.to_thread(there.sendall, b"x")
            assert (await reading, clock.now_mono()) == (b"x", 0)
            late = asyncio.ensure_future(asyncio.wait_for(reader.read(1), 60))
            await asyncio.sleep(0)
            clock.advance(61)
            with pytest.raises(TimeoutError):
                await late
        writer.close()

    clock.run(scenario())


def test_a_scenario_in_which_nothing_can_happen_any_more_fails_at_once():
    with pytest.raises(RuntimeError, match="never happen"):
        clock.run(asyncio.Event().wait())
