"""The dials as a real Redis gives them, and as a Redis in trouble does not."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from gates import BrakeState, Ceilings
from tests.builders import OPEN, a_rule, an_allowlist
from tests.ports import free_port
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import address_of, open_async, open_sync
from worker.adapters.redis.jobs.controls import RedisControls
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.process import composition
from worker.settings.settings import load

DEADLINE_SECONDS = 0.25


def source(client, namespace, **changes):
    seen = []
    fields = {
        "client": client,
        "namespace": namespace,
        "ceilings": Ceilings(),
        "deadline_seconds": DEADLINE_SECONDS,
        "observe": lambda controls, seconds: seen.append((controls, seconds)),
    }
    return RedisControls(**(fields | changes)), seen


def on_a_loop(controls, scenario):
    """Run `scenario()` on an event loop, with a client of that loop."""

    async def opened():
        async with open_async(address_of(controls.client), timeout_seconds=5) as controls.loop_client:
            return await scenario()

    return asyncio.run(opened())


def commands_processed(client):
    return client.info("stats")["total_commands_processed"]


def set_open(client, namespace, **changes):
    values = OPEN | {"allowlist": an_allowlist()} | changes
    client.mset({f"{namespace}:{dial}": value for dial, value in values.items()})


def test_reads_all_dials_in_one_command(redis_client, namespace):
    set_open(redis_client, namespace, rollout_percent="12.5")
    controls, seen = source(redis_client, namespace)
    before = commands_processed(redis_client)

    read = controls.read()

    # One for the MGET, one for the INFO that counts.
    assert commands_processed(redis_client) - before == 2
    assert read.brake is BrakeState.RELEASED
    assert (read.feature_enabled, read.rollout_thousandths) == (True, 12_500)
    assert read.allowlist is not None
    assert [each for each, _ in seen] == [read]


def test_each_of_many_reads_is_a_command_of_its_own(redis_client, namespace):
    controls, seen = source(redis_client, namespace)
    before = redis_client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]

    found = on_a_loop(controls, lambda: controls.read_each(50))

    assert redis_client.info("commandstats")["cmdstat_mget"]["calls"] - before == 50
    assert [each for each, _ in seen] == found
    assert len(found) == 50


def a_clock_on_which_a_reply_takes(seconds):
    """One that goes on by so much each time it is read: once before a reply, and once after it."""
    return itertools.count(step=seconds).__next__


def test_each_of_many_reads_has_the_deadline_for_itself(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")
    takes_seconds = DEADLINE_SECONDS / 20
    controls, seen = source(redis_client, namespace, mono=a_clock_on_which_a_reply_takes(takes_seconds))

    # All of them take twice as long as the deadline of one.
    found = on_a_loop(controls, lambda: controls.read_each(40))

    assert {each.note for each in found} == {""}
    assert {each.brake for each in found} == {BrakeState.RELEASED}
    assert sum(seconds for _, seconds in seen) == pytest.approx(2 * DEADLINE_SECONDS)


@pytest.mark.parametrize(("takes_seconds", "at_once"), [(0.000_005, 200), (0.0025, 11), (0.02, 1), (1, 1)])
def test_the_next_round_trip_has_as_many_as_fit_into_a_part_of_ones_deadline(
    redis_client, namespace, takes_seconds, at_once
):
    controls, _ = source(redis_client, namespace, mono=a_clock_on_which_a_reply_takes(takes_seconds))

    async def thrice():
        for _ in range(3):
            await controls.read_each(controls.at_once)

    on_a_loop(controls, thrice)

    assert controls.at_once == at_once


def test_a_reply_that_came_while_the_loop_was_busy_is_in_time(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")
    controls, _ = source(redis_client, namespace)

    async def scenario():
        await controls.read_each(1)
        reading = asyncio.ensure_future(controls.read_each(50))
        await asyncio.sleep(0)  # it has asked
        time.sleep(1.2 * DEADLINE_SECONDS)  # noqa: ASYNC251 - a busy loop
        return await reading

    assert {each.note for each in on_a_loop(controls, scenario)} == {""}


def test_the_question_leaves_in_the_first_turns_of_a_busy_loop(redis_client, namespace):
    """A turn may take a second while hundreds of calls begin, and every job waits for this."""
    controls, _ = source(redis_client, namespace)

    def asked():
        return redis_client.info("commandstats")["cmdstat_mget"]["calls"]

    async def scenario():
        await controls.read_each(1)
        before = asked()
        reading = asyncio.ensure_future(controls.read_each(1))
        for _ in range(3):
            await asyncio.sleep(0)
        eventually(lambda: asked() == before + 1, saying="it was not asked")  # the loop is held up
        await reading

    on_a_loop(controls, scenario)


def test_a_job_is_told_why_the_dials_could_not_be_read(redis_server):
    with open_sync(redis_server.url.replace("://", "://:wrong@")) as client:
        read = source(client, "slotgen")[0].read()

    assert read.note == "Redis wants another password (AuthenticationError)"


def test_the_loop_goes_on_while_a_long_policy_is_read(redis_client, namespace):
    rules = [a_rule(f"r{each}") for each in range(3000)]
    set_open(redis_client, namespace, allowlist=an_allowlist(*rules))
    controls, _ = source(redis_client, namespace, deadline_seconds=30)

    async def scenario():
        reading, turns = asyncio.ensure_future(controls.read_each(1)), 0
        while not reading.done():
            await asyncio.sleep(0)
            turns += controls._connection is not None
        return turns, reading.result()

    turns, (read,) = on_a_loop(controls, scenario)
    assert len(read.allowlist.rules) == 3000
    assert turns > 10


def test_a_connection_that_redis_has_closed_meanwhile_is_replaced_before_it_is_asked(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")
    controls, _ = source(redis_client, namespace)

    async def scenario():
        await controls.read_each(1)
        redis_client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.05)  # the loop hears of it
        return await controls.read_each(2)

    assert {each.brake for each in on_a_loop(controls, scenario)} == {BrakeState.RELEASED}


@pytest.mark.parametrize(("trouble", "error"), [("kill", "ConnectionError"), ("freeze", "TimeoutError")])
def test_what_was_read_before_redis_went_away_counts_and_the_rest_does_not(trouble, error):
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=30) as client:
        # More than the system holds for a reader: the third reply is still on its way when Redis dies.
        client.mset({"slotgen:kill": "false", "slotgen:feature": "x" * 16_000_000})
        controls, seen = source(client, "slotgen", deadline_seconds=5)

        def observe(read, seconds):
            if not seen:
                getattr(server, trouble)()
            seen.append((read, seconds))

        controls.observe = observe

        first, _, last = on_a_loop(controls, lambda: controls.read_each(3))

    assert first.brake is BrakeState.RELEASED
    assert (last.brake, last.note) == (BrakeState.UNVERIFIED, f"Redis did not answer ({error})")
    assert len(seen) == 3


def test_an_empty_redis_is_a_stopped_fleet(redis_client, namespace):
    read = source(redis_client, namespace)[0].read()

    assert read.brake is BrakeState.UNVERIFIED
    assert not read.feature_enabled
    assert read.rollout_thousandths == 0


@pytest.mark.parametrize("make", ["lpush", "sadd", "xadd"])
def test_a_key_of_the_wrong_type_denies(redis_client, namespace, make):
    value = {"a": "false"} if make == "xadd" else "false"
    getattr(redis_client, make)(f"{namespace}:kill", value)

    assert source(redis_client, namespace)[0].read().brake is BrakeState.UNVERIFIED


def test_reads_afresh_every_time(redis_client, namespace):
    controls, _ = source(redis_client, namespace)
    states = []
    for value in ("false", "true", "false"):
        redis_client.set(f"{namespace}:kill", value)
        states.append(controls.read().brake)

    assert states == [BrakeState.RELEASED, BrakeState.ENGAGED, BrakeState.RELEASED]


def test_the_environment_can_only_restrict(redis_client, namespace):
    set_open(redis_client, namespace, rollout_percent="50")
    ceilings = Ceilings.parse(
        {"SLOTGEN_AI_KILL": "true", "FEATURE_SLOTGEN_AI": "false", "SLOTGEN_AI_ROLLOUT_PERCENT": "10"}
    )

    read = source(redis_client, namespace, ceilings=ceilings)[0].read()

    assert read.brake is BrakeState.ENGAGED
    assert not read.feature_enabled
    assert read.rollout_thousandths == 10_000


def test_a_frozen_redis_is_unverified_and_is_asked_once():
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=DEADLINE_SECONDS) as client:
        controls, seen = source(client, "slotgen", mono=lambda: 0)
        client.set("slotgen:kill", "false")
        assert controls.read().brake is BrakeState.RELEASED
        server.freeze()

        read = controls.read()

        assert (read.brake, read.note) == (BrakeState.UNVERIFIED, "Redis did not answer (TimeoutError)")
        assert len(seen) == 2
        server.thaw()
        with open_sync(server.url, timeout_seconds=30) as patient:
            # A second try would have taken the time of the deadline once more.
            assert patient.info("commandstats")["cmdstat_mget"]["calls"] == 2
            patient.set("slotgen:kill", "true")

        # What Redis answered too late is read by nobody.
        states = read_until(BrakeState.ENGAGED, controls)
        assert BrakeState.RELEASED not in states


def read_until(state, controls):
    states = []

    def read():
        states.append(controls.read().brake)
        return states[-1] is state

    eventually(read, saying=f"no read was {state}")
    return states


def test_the_worker_waits_for_redis_no_longer_than_the_settings_allow(redis_server, namespace):
    settings = load(redis_url=redis_server.url, namespace=namespace, control_read_timeout_ms=123)

    controls = composition.open_controls(settings, print, HaltLatch())

    options = controls.client.get_connection_kwargs()
    assert {options["socket_timeout"], options["socket_connect_timeout"], controls.deadline_seconds} == {
        0.123
    }


def test_a_redis_that_refuses_the_connection_is_not_waited_for():
    with open_sync(f"redis://127.0.0.1:{free_port()}/0", timeout_seconds=DEADLINE_SECONDS) as client:
        read = source(client, "slotgen")[0].read()

    # Not TimeoutError: the refusal itself was the answer.
    assert (read.brake, read.note) == (BrakeState.UNVERIFIED, "Redis did not answer (ConnectionError)")


def test_an_answer_after_the_deadline_does_not_count(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")
    late = a_clock_on_which_a_reply_takes(DEADLINE_SECONDS + 0.001)

    read = source(redis_client, namespace, mono=late)[0].read()

    assert (read.brake, read.note) == (BrakeState.UNVERIFIED, "Redis took 251 ms to answer")
