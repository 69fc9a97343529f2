"""What the watcher's thread has seen reaches the brake on its loop; a halt is confirmed once it is done."""

from __future__ import annotations

import asyncio
import queue
import threading
import time

import pytest

from tasks.brake import Brake
from tasks.errors import ErrorCode, Stubbed
from tasks.operations.halting import Confirmation
from worker.adapters.redis_batches import RedisBatches
from worker.adapters.redis_clients import open_async
from worker.adapters.redis_fleet import RedisFleet
from worker.brake_switch import BrakeSwitch

WAIT_SECONDS = 10


@pytest.fixture
def listener(redis_client, namespace):
    heard = RedisFleet(redis_client, namespace).listen()
    yield heard
    heard.close()


async def wired(url, namespace, on_dials_changed=lambda: None):
    brake = Brake(60, lambda _calls, _seconds: None)
    stores = RedisBatches(open_async(url, timeout_seconds=2, max_connections=1))
    loop = asyncio.get_running_loop()
    return BrakeSwitch(loop, brake, stores, namespace, "w1", on_dials_changed)


async def tell(switch, *call, **words):
    """Call the switch as the watcher does, from a thread, and return once the loop has acted on it."""
    thread = threading.Thread(target=call[0], args=call[1:], kwargs=words)
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)


async def in_flight(switch, number, call):
    await tell(switch, switch.released, time.monotonic())
    flights = [asyncio.create_task(switch.brake.fly(call())) for _ in range(number)]
    await asyncio.sleep(0)
    assert switch.brake.in_flight == number
    return flights


def heard_after(listener, seconds):
    return listener.wait_for({"w1"}, seconds).get("w1")


def test_released_lets_calls_take_off(redis_server, namespace):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        assert switch.brake.reason is ErrorCode.KILL_UNVERIFIED

        await tell(switch, switch.released, time.monotonic())

        assert switch.brake.reason is None
        await switch.stores.client.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("reason", [ErrorCode.KILL_SWITCH, ErrorCode.KILL_UNVERIFIED])
def test_engaged_cancels_what_is_in_flight_and_confirms_its_number(redis_server, namespace, listener, reason):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        flights = await in_flight(switch, 20, asyncio.Event().wait)

        await tell(switch, switch.engaged, reason, time.monotonic(), reported=True)
        ended = await asyncio.gather(*flights, return_exceptions=True)

        assert {type(each) for each in ended} == {Stubbed}
        assert {each.code for each in ended} == {reason}
        said = await asyncio.to_thread(heard_after, listener, WAIT_SECONDS)
        await switch.stores.client.aclose()
        assert (said.worker_id, said.calls) == ("w1", 20)
        assert 0 <= said.halt_ms < 5000

    asyncio.run(scenario())


def test_a_halt_is_confirmed_only_once_the_last_call_has_closed(redis_server, namespace, listener):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        closing = asyncio.Event()

        async def slow_to_close():
            try:
                await asyncio.Event().wait()
            finally:
                await closing.wait()

        flights = await in_flight(switch, 3, slow_to_close)

        await tell(switch, switch.engaged, ErrorCode.KILL_SWITCH, time.monotonic(), reported=True)
        assert await asyncio.to_thread(heard_after, listener, 0.3) is None
        closing.set()

        said = await asyncio.to_thread(heard_after, listener, WAIT_SECONDS)
        await asyncio.gather(*flights, return_exceptions=True)
        await switch.stores.client.aclose()
        assert said.calls == 3
        # It counts from the moment at which the brake was seen, and to the last one's end.
        assert said.halt_ms >= 300

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("reported", "calls", "said"), [(True, 0, True), (False, 0, False), (False, 2, True)]
)
def test_only_news_is_confirmed(redis_server, namespace, listener, reported, calls, said):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        flights = await in_flight(switch, calls, asyncio.Event().wait)

        await tell(switch, switch.engaged, ErrorCode.KILL_SWITCH, time.monotonic(), reported=reported)

        heard = await asyncio.to_thread(heard_after, listener, WAIT_SECONDS if said else 0.3)
        await asyncio.gather(*flights, return_exceptions=True)
        await switch.stores.client.aclose()
        assert (heard and heard.calls) == (calls if said else None)

    asyncio.run(scenario())


def test_each_look_at_a_brake_that_stays_on_is_not_a_halt_of_its_own(redis_server, namespace, listener):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        flights = await in_flight(switch, 5, asyncio.Event().wait)
        for reported in (True, False, False):
            await tell(switch, switch.engaged, ErrorCode.KILL_SWITCH, time.monotonic(), reported=reported)
        await asyncio.gather(*flights, return_exceptions=True)

        said = await asyncio.to_thread(heard_after, listener, WAIT_SECONDS)
        listener.confirmed.clear()
        again = await asyncio.to_thread(heard_after, listener, 0.3)
        await switch.stores.client.aclose()
        assert (said.calls, again) == (5, None)

    asyncio.run(scenario())


def test_halts_though_nobody_can_be_told(namespace):
    async def scenario():
        switch = await wired("redis://127.0.0.1:1/0", namespace)
        complaints = []
        switch.loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        flights = await in_flight(switch, 5, asyncio.Event().wait)

        await tell(switch, switch.engaged, ErrorCode.KILL_SWITCH, time.monotonic(), reported=True)
        ended = await asyncio.gather(*flights, return_exceptions=True)

        assert {type(each) for each in ended} == {Stubbed}
        confirming = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        await asyncio.wait_for(asyncio.gather(*confirming), WAIT_SECONDS)
        await switch.stores.client.aclose()
        assert complaints == []

    asyncio.run(scenario())


def test_never_keeps_the_watcher_waiting_for_a_busy_loop(redis_server, namespace):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        returned = queue.Queue()

        def watch():
            began = time.monotonic()
            switch.released(began)
            switch.engaged(ErrorCode.KILL_SWITCH, began, reported=False)
            returned.put(time.monotonic() - began)

        watcher = threading.Thread(target=watch)
        watcher.start()
        # The loop does not run meanwhile: this is a call on it that blocks.
        watcher.join(WAIT_SECONDS)

        assert returned.get_nowait() < WAIT_SECONDS
        await asyncio.sleep(0)
        assert switch.brake.reason is ErrorCode.KILL_SWITCH
        await switch.stores.client.aclose()

    asyncio.run(scenario())


def test_hands_on_that_a_dial_has_changed(redis_server, namespace):
    async def scenario():
        noticed = []
        switch = await wired(redis_server.url, namespace, lambda: noticed.append("changed"))

        await tell(switch, switch.dials_changed)

        await switch.stores.client.aclose()
        assert noticed == ["changed"]

    asyncio.run(scenario())


def test_a_confirmation_reads_as_it_was_said(redis_server, namespace, listener):
    async def scenario():
        switch = await wired(redis_server.url, namespace)
        await tell(switch, switch.engaged, ErrorCode.KILL_SWITCH, time.monotonic() - 2, reported=True)
        said = await asyncio.to_thread(heard_after, listener, WAIT_SECONDS)
        await switch.stores.client.aclose()
        assert said == Confirmation("w1", 0, said.halt_ms)
        assert said.halt_ms >= 2000

    asyncio.run(scenario())
