"""The records of drills in a real Redis."""

from __future__ import annotations

import dataclasses

import pytest

from tasks.errors import StoreUnavailable
from tasks.operations.drill import DrillCheck, DrillRecord
from tests.ports import free_port
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.drills import RedisDrills

RECORD = DrillRecord(
    wall_ms=1_800_000_000_000,
    actor="ann",
    passed=True,
    halt_ms=36.5,
    workers=2,
    cancelled_calls=30,
    checks=(DrillCheck("every worker confirms the halt", passed=True, seen="2 of 2"),),
)


@pytest.fixture
def drills(redis_client, namespace):
    return RedisDrills(redis_client, namespace)


def test_there_is_none_before_the_first_drill(drills):
    assert drills.last() is None


def test_the_last_one_comes_back_as_it_was_kept(drills):
    unconfirmed = dataclasses.replace(RECORD, passed=False, halt_ms=None, checks=())
    drills.add(RECORD)
    assert drills.last() == RECORD

    drills.add(unconfirmed)

    assert drills.last() == unconfirmed


def test_the_oldest_ones_leave(drills, redis_client, namespace):
    for _ in range(1_200):
        drills.add(RECORD)

    # Redis drops whole nodes of 100 entries.
    assert 1_000 <= redis_client.xlen(f"{namespace}:drills:brake") <= 1_100


def test_a_redis_that_is_away_is_said(namespace):
    with open_sync(f"redis://127.0.0.1:{free_port()}/0", timeout_seconds=1) as client:
        drills = RedisDrills(client, namespace)

        with pytest.raises(StoreUnavailable):
            drills.last()
        with pytest.raises(StoreUnavailable):
            drills.add(RECORD)
