"""What the watcher's thread has seen reaches the brake on its loop; a halt is confirmed once it is done."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import threading
from contextlib import asynccontextmanager

import pytest

from tasks.errors import ErrorCode, Stubbed
from tasks.limits.brake import Brake
from tasks.operations.fleet import Confirmation
from tests.fakes import clock
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.keys import HALTS
from worker.halt.brake_bridge import BrakeBridge

WAIT_SECONDS = 10


@pytest.fixture
def listener(redis_client, namespace):
    heard = RedisFleet(redis_client, namespace).listen()
    yield heard
    heard.close()


@asynccontextmanager
async def wired(url, namespace, on_dials_changed=lambda: None, *, on_halt=lambda _calls, _seconds: None):
    brake = Brake(60, on_halt)
    stores = RedisBatches(open_async(url, timeout_seconds=2))
    loop = asyncio.get_running_loop()
    yield BrakeBridge(loop, brake, stores, namespace, "w1", on_dials_changed)
    await stores.client.aclose()


async def tell(call, *arguments, **words):
    """Call the switch as the watcher does, from a thread, and return once the loop has acted on it."""
    await asyncio.to_thread(call, *arguments, **words)
    await asyncio.sleep(0)


async def in_flight(switch, number, call):
    await tell(switch.released, clock.now_mono())
    flights = [asyncio.create_task(switch.brake.run_cancellable(call())) for _ in range(number)]
    await asyncio.sleep(0)
    assert switch.brake.in_flight == number
    return flights


async def landed(switch, flights):
    """Return how the calls ended, once that is confirmed where it will be."""
    ended = await asyncio.gather(*flights, return_exceptions=True)
    await asyncio.gather(*switch._confirming)
    return ended


async def confirmed(switch, listener):
    """Return every confirmation so far: commands reach Redis in their order, and this one is the last."""
    await switch.stores.command("PUBLISH", HALTS(switch.namespace), '"that is all"')

    def hear():
        while (
            said := json.loads(listener.channel.get_message(timeout=WAIT_SECONDS)["data"])
        ) != "that is all":
            yield Confirmation(**said)

    return await asyncio.to_thread(lambda: list(hear()))


def test_released_lets_calls_take_off(redis_server, namespace):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            assert switch.brake.reason is ErrorCode.KILL_UNVERIFIED

            await tell(switch.released, clock.now_mono())

            assert switch.brake.reason is None

    clock.run(scenario())


@pytest.mark.parametrize("reason", [ErrorCode.KILL_SWITCH, ErrorCode.KILL_UNVERIFIED])
def test_engaged_cancels_what_is_in_flight_and_confirms_its_number(redis_server, namespace, listener, reason):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            flights = await in_flight(switch, 20, asyncio.Event().wait)

            await tell(switch.engaged, reason, clock.now_mono() - 2, reported=True)
            ended = await landed(switch, flights)

            assert {type(each) for each in ended} == {Stubbed}
            assert {each.code for each in ended} == {reason}
            assert await confirmed(switch, listener) == [Confirmation("w1", 20, 2000.0)]

    clock.run(scenario())


def test_a_halt_closes_the_connections_before_the_loop_turns_again(redis_server, namespace):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            aborted = threading.Event()
            switch.brake.abort_connections = aborted.set

            threading.Thread(
                target=switch.engaged,
                args=(ErrorCode.KILL_SWITCH, clock.now_mono()),
                kwargs={"reported": True},
            ).start()

            # The loop is held up here until it has happened.
            assert aborted.wait(WAIT_SECONDS)

    clock.run(scenario())


def test_a_halt_is_confirmed_only_once_the_last_call_has_closed(redis_server, namespace, listener):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            closing = asyncio.Event()

            async def slow_to_close():
                try:
                    await asyncio.Event().wait()
                finally:
                    await closing.wait()

            flights = await in_flight(switch, 3, slow_to_close)

            await tell(switch.engaged, ErrorCode.KILL_SWITCH, clock.now_mono(), reported=True)
            assert await confirmed(switch, listener) == []
            clock.advance(0.5)
            closing.set()
            await landed(switch, flights)

            # It counts from the moment at which the brake was seen, and to the last one's end.
            assert await confirmed(switch, listener) == [Confirmation("w1", 3, 500.0)]

    clock.run(scenario())


@pytest.mark.parametrize(
    ("reported", "calls", "said"), [(True, 0, True), (False, 0, False), (False, 2, True)]
)
def test_only_news_is_confirmed(redis_server, namespace, listener, reported, calls, said):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            flights = await in_flight(switch, calls, asyncio.Event().wait)

            await tell(switch.engaged, ErrorCode.KILL_SWITCH, clock.now_mono(), reported=reported)
            await landed(switch, flights)

            heard = await confirmed(switch, listener)
            assert [each.calls for each in heard] == ([calls] if said else [])

    clock.run(scenario())


def test_each_look_at_a_brake_that_stays_on_is_not_a_halt_of_its_own(redis_server, namespace, listener):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            flights = await in_flight(switch, 5, asyncio.Event().wait)
            for reported in (True, False, False):
                await tell(switch.engaged, ErrorCode.KILL_SWITCH, clock.now_mono(), reported=reported)
            await landed(switch, flights)

            assert [each.calls for each in await confirmed(switch, listener)] == [5]

    clock.run(scenario())


def test_halts_though_nobody_can_be_told(namespace):
    async def scenario():
        async with wired("redis://127.0.0.1:1/0", namespace) as switch:
            complaints = []
            switch.loop.set_exception_handler(lambda _loop, context: complaints.append(context))
            flights = await in_flight(switch, 5, asyncio.Event().wait)

            await tell(switch.engaged, ErrorCode.KILL_SWITCH, clock.now_mono(), reported=True)
            ended = await landed(switch, flights)

            assert {type(each) for each in ended} == {Stubbed}
            assert complaints == []

    clock.run(scenario())


def test_never_keeps_the_watcher_waiting_for_a_busy_loop(redis_server, namespace):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:

            def watch():
                switch.released(0)
                switch.engaged(ErrorCode.KILL_SWITCH, 0, reported=False)

            watcher = threading.Thread(target=watch)
            watcher.start()
            # The loop does not run meanwhile: this is a call on it that blocks.
            watcher.join(WAIT_SECONDS)

            assert not watcher.is_alive()
            await asyncio.sleep(0)
            assert switch.brake.reason is ErrorCode.KILL_SWITCH

    clock.run(scenario())


def test_hands_on_that_a_dial_has_changed(redis_server, namespace):
    async def scenario():
        noticed = []
        async with wired(redis_server.url, namespace, lambda: noticed.append("changed")) as switch:
            await tell(switch.dials_changed)

            assert noticed == ["changed"]

    clock.run(scenario())


def test_a_confirmation_reads_as_it_was_said(redis_server, namespace, listener):
    async def scenario():
        async with wired(redis_server.url, namespace) as switch:
            await tell(switch.engaged, ErrorCode.KILL_SWITCH, clock.now_mono() - 2, reported=True)
            said = await asyncio.to_thread(listener.wait_for, {"w1"}, WAIT_SECONDS)
            assert said == {"w1": Confirmation("w1", 0, 2000.0)}

    clock.run(scenario())


def test_hands_on_that_the_brake_has_come_off_once(redis_server, namespace):
    async def scenario():
        noticed = []
        async with wired(redis_server.url, namespace, lambda: noticed.append(switch.brake.reason)) as switch:
            for _ in range(2):
                await tell(switch.released, clock.now_mono())
                assert noticed == [None]
                clock.advance(1)

    clock.run(scenario())


def test_a_halt_is_measured_from_when_the_watcher_saw_it(redis_server, namespace):
    async def scenario():
        halts = []
        async with wired(redis_server.url, namespace, on_halt=lambda *halt: halts.append(halt)) as switch:
            flights = await in_flight(switch, 1, asyncio.Event().wait)

            await tell(switch.engaged, ErrorCode.KILL_SWITCH, clock.now_mono() - 3, reported=False)
            await landed(switch, flights)

            assert halts == [(1, 3.0)]

    clock.run(scenario())


def test_halts_though_redis_hangs(namespace):
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as hung:
            async with wired(f"redis://127.0.0.1:{hung.getsockname()[1]}/0", namespace) as hanging:
                # Sooner than the client's own: a deadline of the loop is no error of Redis.
                stores = RedisBatches(hanging.stores.client, timeout_seconds=1)
                switch = dataclasses.replace(hanging, stores=stores)
                await tell(switch.engaged, ErrorCode.KILL_SWITCH, 0, reported=True)
                (confirming,) = switch._confirming
                while not confirming.done():
                    await asyncio.sleep(0)
                    clock.advance(0.1)

                await confirming

    clock.run(scenario())
