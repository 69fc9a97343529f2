"""Those who ask at the same moment are answered together, each with its own reply; nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from tasks.generate.batching import Batcher
from tests.fakes import clock


class Doubling:
    """Answers with the double, once `go_on` is set; `batches` has what was asked together."""

    def __init__(self):
        self.batches = []
        self.go_on = asyncio.Event()

    async def __call__(self, asks):
        self.batches.append(list(asks))
        await self.go_on.wait()
        return [ValueError(each) if each < 0 else 2 * each for each in asks]


def test_what_is_asked_meanwhile_goes_together_in_the_order_asked_and_bounded():
    async def scenario():
        doubling = Doubling()
        batching = Batcher(doubling, most=lambda: 3)
        first = batching.submit(0)
        await asyncio.sleep(0)
        rest = [batching.submit(each) for each in range(1, 6)]
        doubling.go_on.set()
        return await asyncio.gather(first, *rest), doubling.batches

    assert clock.run(scenario()) == ([0, 2, 4, 6, 8, 10], [[0], [1, 2, 3], [4, 5]])


def test_an_exception_in_an_ones_place_is_that_ones_alone():
    async def scenario():
        doubling = Doubling()
        doubling.go_on.set()
        batching = Batcher(doubling, most=lambda: 10)
        return await asyncio.gather(*(batching.submit(each) for each in (1, -1, 2)), return_exceptions=True)

    one, failed, two = clock.run(scenario())

    assert (one, two) == (2, 4)
    assert isinstance(failed, ValueError)


def test_what_the_answering_raises_is_everybodys_and_the_next_ask_begins_anew():
    async def breaks(_asks):
        raise ZeroDivisionError

    async def scenario():
        batching = Batcher(breaks, most=lambda: 10)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await batching.submit(1)

    clock.run(scenario())


def test_whoever_waits_when_the_answering_is_cancelled_is_cancelled_too():
    async def scenario():
        doubling = Doubling()
        batching = Batcher(doubling, most=lambda: 1)
        waiting = [batching.submit(1), batching.submit(2)]
        await asyncio.sleep(0)
        batching._task.cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        doubling.go_on.set()
        return [type(each) for each in ended], await batching.submit(3)

    assert clock.run(scenario()) == ([asyncio.CancelledError] * 2, 6)
