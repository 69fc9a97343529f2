"""A Redis that is out of memory refuses every write but DEL: the brake still works, and nothing is lost."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import OutOfMemoryError

from tests.faults.fleet import Fleet, fleet
from tests.faults.halting import closed_after_ms, fill
from worker.dev.openai_stand_in import Behaviour


def fill_memory(hurt: Fleet) -> None:
    """Leave Redis where it refuses every command that could take memory."""
    hurt.client.config_set("maxmemory", "1")
    with pytest.raises(OutOfMemoryError):
        hurt.client.set("slotgen:kill", "true")


@pytest.mark.timeout(120)
def test_deleting_the_dial_halts_when_redis_is_full_and_nothing_is_lost(saw):
    with fleet() as hurt:
        worker = hurt.start_worker(concurrency=50)
        pending = fill(hurt, 50)
        fill_memory(hurt)

        halt_ms = closed_after_ms(hurt, lambda: hurt.client.delete("slotgen:kill"))
        assert halt_ms < 1000
        hurt.wait_for_codes(len(pending))
        assert set(hurt.codes()) == {"KILL_UNVERIFIED"}

        hurt.client.config_set("maxmemory", "0")
        assert set(hurt.statuses(pending)) == {"STUB"}
        hurt.open_dials()
        hurt.stand_in.behave(Behaviour())
        assert hurt.statuses(hurt.send(5)) == ["COMPLETED"] * 5
        worker.check()
        saw(
            "out of memory",
            "50 calls in flight, maxmemory below what is used, DEL kill",
            f"all closed after {halt_ms:.0f} ms; with memory back all STUB, 5 of 5 new jobs COMPLETED",
            "1 s, worker lives, nothing lost",
        )


@pytest.mark.timeout(120)
def test_answers_that_come_while_redis_is_full_are_kept_until_it_has_room(saw):
    with fleet() as hurt:
        hurt.stand_in.behave(Behaviour(delay_seconds=2))
        worker = hurt.start_worker(concurrency=20)
        pending = hurt.send(60)
        hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 20, 20)
        fill_memory(hurt)
        hurt.stand_in.journal.wait_until(lambda counts: counts.completed >= 20, 20)
        hurt.stand_in.behave(Behaviour())
        time.sleep(1)  # being refused again and again is what is tried here

        hurt.client.config_set("maxmemory", "0")

        statuses = hurt.statuses(pending)
        worker.check()
        assert set(statuses) <= {"COMPLETED", "STUB"}
        assert statuses.count("COMPLETED") >= 20
        assert set(hurt.stand_in.journal.billed_requests().values()) == {1}
        saw(
            "out of memory",
            "60 jobs, 20 of them answered while maxmemory was below what is used, for 1 s more",
            f"{statuses.count('COMPLETED')} COMPLETED, {statuses.count('STUB')} STUB, none billed twice",
            "0 lost, paid once",
        )
