"""One read serves all who asked before it began, and nobody gets one that began before they asked."""

from __future__ import annotations

import asyncio
import threading
import time

from tasks.shared_read import SharedRead
from tests.builders import controls


class SlowControls:
    """Each read waits for its turn, and returns a fresh object."""

    def __init__(self) -> None:
        self.reads = 0
        self.began = threading.Event()
        self.go_on = threading.Event()

    def read(self):
        self.reads += 1
        self.began.set()
        assert self.go_on.wait(10)
        return controls()


def test_those_who_ask_during_a_read_share_the_next_one():
    async def scenario():
        source = SlowControls()
        shared = SharedRead(source)
        first = asyncio.create_task(shared.read())
        await asyncio.to_thread(source.began.wait, 10)
        asked_mono = time.monotonic()
        late = [asyncio.create_task(shared.read()) for _ in range(50)]
        await asyncio.sleep(0)
        source.go_on.set()
        _, first_mono = await first
        results = await asyncio.gather(*late)
        return source.reads, first_mono < asked_mono, {mono >= asked_mono for _, mono in results}

    assert asyncio.run(scenario()) == (2, True, {True})


def test_one_askers_cancellation_leaves_the_others_their_read():
    async def scenario():
        source = SlowControls()
        shared = SharedRead(source)
        gone, stays = asyncio.create_task(shared.read()), asyncio.create_task(shared.read())
        await asyncio.to_thread(source.began.wait, 10)
        gone.cancel()
        source.go_on.set()
        await stays
        return gone.cancelled() or gone.cancelling() > 0, source.reads

    assert asyncio.run(scenario()) == (True, 1)


def test_asks_again_for_everyone_who_comes_later():
    async def scenario():
        source = SlowControls()
        source.go_on.set()
        shared = SharedRead(source)
        for _ in range(3):
            await shared.read()
        return source.reads

    assert asyncio.run(scenario()) == 3
