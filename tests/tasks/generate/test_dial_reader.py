"""Nobody gets a read that began before he asked; those who ask during one go together in the next."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tasks.generate.dial_reader import DialReader
from tests.builders import controls
from tests.fakes import clock


class SlowControls:
    """Each round trip waits for its turn, and returns a fresh object for each read."""

    at_once = 200

    def __init__(self) -> None:
        self.trips = []
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def read_each(self, number):
        self.trips.append(number)
        self.began.set()
        await self.go_on.wait()
        return [replace(controls()) for _ in range(number)]


def asked_during_a_read(kind, number):
    """Ask once, and `number` times more while that is under way; return the trips and every read.

    Each read is a pair: itself, and whether it began after the others were asked for.
    """

    async def scenario():
        source = SlowControls()
        submit = getattr(DialReader(source), kind)
        first = submit()
        await source.began.wait()
        clock.advance(1)
        asked_mono = clock.now_mono()
        late = [submit() for _ in range(number)]
        source.go_on.set()
        found = await asyncio.gather(first, *late)
        return source.trips, [(each, each.asked_mono >= asked_mono) for each in found]

    return clock.run(scenario())


def test_those_who_ask_during_a_read_go_together_in_the_next_one():
    trips, found = asked_during_a_read("read_exclusive", 50)

    assert trips == [1, 50]
    assert [fresh for _, fresh in found] == [False] + [True] * 50
    assert len({id(each.controls) for each, _ in found}) == 51


def test_a_late_asker_never_gets_the_read_that_is_under_way():
    _, (_, (_, fresh)) = asked_during_a_read("read_exclusive", 1)

    assert fresh


def test_a_look_is_shared_by_all_who_ask_before_it_begins_and_by_nobody_later():
    trips, found = asked_during_a_read("read_shared", 300)

    assert trips == [1, 1]
    assert all(fresh for _, fresh in found[1:])
    assert len({id(each.controls) for each, _ in found}) == 2


def test_a_round_trip_is_bounded():
    async def scenario():
        source = SlowControls()
        source.go_on.set()
        dial_reader = DialReader(source)
        await asyncio.gather(*(dial_reader.read_exclusive() for _ in range(450)))
        return source.trips

    trips = clock.run(scenario())

    assert (sum(trips), max(trips)) == (450, 200)


def test_one_askers_cancellation_leaves_the_others_their_read():
    async def scenario():
        source = SlowControls()
        dial_reader = DialReader(source)
        gone, stays = dial_reader.read_exclusive(), dial_reader.read_exclusive()
        await source.began.wait()
        gone.cancel()
        source.go_on.set()
        await stays
        return gone.cancelled(), source.trips

    assert clock.run(scenario()) == (True, [2])


def test_asks_again_for_everyone_who_comes_later():
    async def scenario():
        source = SlowControls()
        source.go_on.set()
        dial_reader = DialReader(source)
        for _ in range(3):
            await dial_reader.read_exclusive()
        return source.trips

    assert clock.run(scenario()) == [1, 1, 1]


def test_the_two_kinds_of_reads_take_turns():
    async def scenario():
        source = SlowControls()
        dial_reader = DialReader(source)
        both = asyncio.gather(dial_reader.read_exclusive(), dial_reader.read_shared())
        await source.began.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        under_way = list(source.trips)
        source.go_on.set()
        await both
        return under_way, source.trips

    assert clock.run(scenario()) == ([1], [1, 1])


def test_a_bug_in_the_reading_is_everybodys_and_the_next_ask_tries_again():
    class Broken:
        at_once = 200

        async def read_each(self, number):
            raise ZeroDivisionError

    async def scenario():
        dial_reader = DialReader(Broken())
        first = await asyncio.gather(
            dial_reader.read_exclusive(), dial_reader.read_exclusive(), return_exceptions=True
        )
        with pytest.raises(ZeroDivisionError):
            await dial_reader.read_exclusive()
        return [type(each) for each in first]

    assert clock.run(scenario()) == [ZeroDivisionError] * 2
