"""What blocks for a while holds up neither the loop nor anything else that blocks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from worker.adapters.celery.job_loop import JobLoop


@pytest.fixture
def loop():
    running = JobLoop()
    running.start()
    yield running
    running.stop()


def test_no_call_that_blocks_waits_for_another(loop):
    blocked, number = threading.Event(), 50

    async def scenario():
        others = [asyncio.create_task(asyncio.to_thread(blocked.wait, 10)) for _ in range(number)]
        await asyncio.sleep(0)
        answered = await asyncio.to_thread(int, "7")
        blocked.set()
        return answered, await asyncio.gather(*others)

    assert loop.run(scenario()) == (7, [True] * number)


def test_its_thread_ends_with_it(loop):
    thread = loop.run(asyncio.to_thread(threading.current_thread))

    thread.join(10)
    assert not thread.is_alive()


def test_what_it_raises_is_its_callers(loop):
    with pytest.raises(ValueError, match="seven"):
        loop.run(asyncio.to_thread(int, "seven"))


def test_who_stops_waiting_for_it_does_not_end_it(loop):
    begun, blocked, done = threading.Event(), threading.Event(), threading.Event()

    def block():
        begun.set()
        blocked.wait(10)
        done.set()

    async def scenario():
        waiting = asyncio.create_task(asyncio.to_thread(block))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()
        await asyncio.wait({waiting})
        return waiting.cancelled()

    assert loop.run(scenario())
    blocked.set()
    assert done.wait(10)
