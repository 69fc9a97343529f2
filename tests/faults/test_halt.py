"""The brake reaches every call in flight, whoever pulls it, and pulls itself when Redis is out of reach."""

from __future__ import annotations

import time

import pytest

from tests.faults.fleet import fleet
from worker.dev.openai_stand_in import Behaviour

GRACE_SECONDS = 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("SET", "slotgen:kill", "true"), "KILL_SWITCH"),
        (("DEL", "slotgen:kill"), "KILL_UNVERIFIED"),
        (("FLUSHALL",), "KILL_UNVERIFIED"),
        (("PEXPIRE", "slotgen:kill", "1"), "KILL_UNVERIFIED"),
        (("SET", "slotgen:kill", "nope"), "KILL_SWITCH"),
    ],
)
def test_raw_commands_close_every_connection(command, code):
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=60))
        hurt.start_worker(concurrency=100)
        pending = hurt.send(100)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 100, 30)

        began = time.monotonic()
        hurt.client.execute_command(*command)
        counts = hurt.stand_in.journal.wait_until(lambda counts: counts.cancelled == 100, 10)

        assert counts.last_connection_closed_mono - began < 1
        if command[0] != "FLUSHALL":
            assert set(hurt.statuses(pending)) == {"STUB"}
            assert hurt.codes() == [code] * 100


@pytest.mark.timeout(120)
def test_a_frozen_redis_stops_the_worker_by_itself_and_it_recovers_by_itself():
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=60))
        worker = hurt.start_worker(concurrency=50, SLOTGEN_BRAKE_GRACE_SECONDS=str(GRACE_SECONDS))
        pending = hurt.send(50)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 50, 30)

        began = time.monotonic()
        hurt.server.freeze()
        counts = hurt.stand_in.journal.wait_until(lambda counts: counts.cancelled == 50, 10)
        assert counts.last_connection_closed_mono - began < GRACE_SECONDS + 0.5
        hurt.server.thaw()

        assert set(hurt.statuses(pending)) == {"STUB"}
        hurt.stand_in.behave(Behaviour())
        assert hurt.statuses(hurt.send(5)) == ["COMPLETED"] * 5
        worker.check()


@pytest.mark.timeout(120)
def test_a_redis_that_is_gone_stops_the_worker_by_itself():
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=60))
        worker = hurt.start_worker(concurrency=50, SLOTGEN_BRAKE_GRACE_SECONDS=str(GRACE_SECONDS))
        hurt.send(50)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 50, 30)

        began = time.monotonic()
        hurt.server.kill()
        counts = hurt.stand_in.journal.wait_until(lambda counts: counts.cancelled == 50, 10)

        assert counts.last_connection_closed_mono - began < GRACE_SECONDS + 0.5
        hurt.server.restart()
        hurt.open_dials()
        hurt.stand_in.behave(Behaviour())
        assert hurt.statuses(hurt.send(5)) == ["COMPLETED"] * 5
        worker.check()
