"""A Redis that is out of memory refuses every write but DEL: the brake still works, and nothing is lost."""

from __future__ import annotations

import pytest
from redis.exceptions import OutOfMemoryError

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet
from tests.faults.rig.halting import PROMISED_MS, closed_after_ms, fill
from tests.faults.rig.promise import verdict, within
from tests.waiting import eventually

CONCURRENCY = 50


def fill_memory(hurt: Fleet) -> None:
    """Leave Redis where it refuses every command that could take memory."""
    hurt.client.config_set("maxmemory", "1")
    with pytest.raises(OutOfMemoryError):
        hurt.client.set("slotgen:kill", "true")


def refusals(hurt: Fleet) -> int:
    """How many commands Redis has refused; what it refuses to a script counts as the script's error."""
    errors = hurt.client.info("errorstats")
    return sum(errors[name]["count"] for name in ("errorstat_OOM", "errorstat_ERR") if name in errors)


@pytest.mark.timeout(120)
def test_deleting_the_dial_halts_when_redis_is_full_and_nothing_is_lost(hurt, saw):
    pending = fill(hurt, 50)
    fill_memory(hurt)

    halt_ms = closed_after_ms(hurt, lambda: hurt.client.delete("slotgen:kill"))

    assert set(hurt.codes_of(pending)) == {"KILL_UNVERIFIED"}
    hurt.client.config_set("maxmemory", "0")
    assert set(hurt.statuses(pending)) == {"STUB"}
    hurt.open_dials()
    hurt.fake_openai.behave(Behaviour())
    assert hurt.statuses(hurt.send(5)) == ["COMPLETED"] * 5
    saw(
        "out of memory",
        "50 calls in flight, maxmemory below what is used, DEL kill",
        f"all closed after {halt_ms:.0f} ms; with memory back all STUB, 5 of 5 new jobs COMPLETED",
        f"worker lives, nothing lost; <= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
    )
    within(halt_ms, PROMISED_MS)


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_answers_that_come_while_redis_is_full_are_kept_until_it_has_room(hurt, saw):
    hurt.fake_openai.behave(Behaviour(delay_seconds=60))
    answered = hurt.fake_openai.journal.counts().completed
    pending = hurt.send(100)
    hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 50, 60)
    fill_memory(hurt)
    refused = refusals(hurt)
    hurt.fake_openai.behave(Behaviour())
    hurt.fake_openai.release()
    hurt.fake_openai.journal.wait_until(lambda counts: counts.completed >= answered + 50, 60)
    # Each answer is refused more than once.
    eventually(lambda: refusals(hurt) >= refused + 150, saying="the answers were not offered again")

    hurt.client.config_set("maxmemory", "0")

    statuses = hurt.statuses(pending)
    assert set(statuses) <= {"COMPLETED", "STUB"}
    assert statuses.count("COMPLETED") >= 50
    assert set(hurt.fake_openai.journal.billed_requests().values()) == {1}
    saw(
        "out of memory",
        "100 jobs, 50 of them answered while maxmemory was below what is used, until 150 writes were refused",
        f"{statuses.count('COMPLETED')} COMPLETED, {statuses.count('STUB')} STUB, none billed twice",
        "0 lost, paid once",
    )
