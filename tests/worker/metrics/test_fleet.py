"""A scrape gets the fleet's figures as they were read last, and waits for no Redis."""

from __future__ import annotations

import logging
import math
import time

import pytest

from tasks.errors import StoreUnavailable
from telemetry import Metrics
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.metrics.fleet import FleetGauges

UNKNOWN = {"slotgen_queue_depth": -1, "slotgen_queue_oldest_seconds": -1, "slotgen_dead_letters": -1}


def gauges(client, namespace, clock=time.monotonic):
    metrics = Metrics(version="1", executor_version="1")
    account = RedisAccount(client, namespace, 5 * 10**9, 86_400)
    made = FleetGauges(metrics, client, namespace, RedisDeadLetters(client, namespace), account, clock)
    return made, metrics.registry.get_sample_value


def test_they_are_as_they_were_read_last(redis_client, namespace):
    fleet, value = gauges(redis_client, namespace)
    assert {name: value(name) for name in UNKNOWN} == UNKNOWN
    redis_client.lpush(namespace, "one", "two")
    RedisDeadLetters(redis_client, namespace).add(namespace, "too_large", "why", None, b"x")

    fleet.sample()
    redis_client.lpush(namespace, "three")

    assert (value("slotgen_queue_depth"), value("slotgen_dead_letters")) == (2, 1)
    assert (value("slotgen_budget_cap_usd"), value("slotgen_budget_spent_usd")) == (5, 0)


def test_without_an_answer_nothing_is_known_and_the_last_one_grows_old(redis_client, namespace):
    now = [100.0]
    fleet, value = gauges(redis_client, namespace, lambda: now[0])
    fleet.sample()
    with open_sync("redis://127.0.0.1:1/0") as nowhere:
        fleet.client = nowhere
        now[0] = 107.0

        with pytest.raises((StoreUnavailable, *REDIS_ERRORS)):
            fleet.sample()

    assert {name: value(name) for name in UNKNOWN} == UNKNOWN
    assert math.isnan(value("slotgen_budget_spent_usd"))
    assert value("slotgen_fleet_sample_age_seconds") == 7


def test_a_key_that_holds_what_does_not_belong_there_is_named_once(redis_client, namespace, caplog):
    fleet, value = gauges(redis_client, namespace)
    redis_client.rpush(f"{namespace}:taken", "x")
    redis_client.set(f"{namespace}:breaker", "no code", ex=60)

    with caplog.at_level(logging.ERROR, "slotgen.worker"):
        fleet.sample()
        fleet.sample()

    said = [vars(each)["slotgen_fields"] for each in caplog.records if each.getMessage() == "key_wrong"]
    assert [(each["key"], each["found"]) for each in said] == [
        (f"{namespace}:taken", "a list"),
        (f"{namespace}:breaker", "a value that cannot be read"),
    ]
    assert value("slotgen_wrong_keys") == 2
    redis_client.delete(f"{namespace}:taken", f"{namespace}:breaker")
    fleet.sample()
    assert value("slotgen_wrong_keys") == 0
