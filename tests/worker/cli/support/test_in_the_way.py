"""What keeps answers, or content, from coming is said with what to do about it."""

from __future__ import annotations

import time

import pytest

from tests.builders import open_dials
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.keys import BUDGET, BUDGET_CAP, COOLDOWN
from worker.cli.support.in_the_way import in_the_way
from worker.settings.settings import load

NO_WORKER = "no worker is running for the queue slotgen; start one: slotgen worker"


@pytest.fixture
def client(redis_server):
    with open_sync(redis_server.url) as opened:
        opened.flushdb()
        opened.mset(open_dials())
        yield opened


@pytest.fixture
def look(client, redis_server):
    settings = load(redis_url=redis_server.url)
    return lambda who=client, **how: in_the_way(who, settings, **({"of_answers": False} | how))


def test_where_nothing_is_in_the_way_nothing_is_said(look):
    assert look() == []
    assert look(of_answers=True) == [NO_WORKER]


@pytest.mark.parametrize(
    ("dial", "said"),
    [("true", "the kill switch is on: "), (None, "the kill switch is not set, which counts as on: ")],
)
def test_the_kill_switch(client, look, dial, said):
    client.delete("slotgen:kill") if dial is None else client.set("slotgen:kill", dial)

    (line,) = look()

    assert line == f'{said}jobs come back as STUBs; to release it: slotgen resume --reason "…"'


def test_a_spend_cap_that_is_used_up(client, look):
    began = int(time.time()) // 86_400 * 86_400
    client.set(BUDGET_CAP("slotgen"), "1.5")
    for window in (began, began + 86_400):
        client.hset(BUDGET("slotgen", window), mapping={"spent": 1_500_000_000})

    (line,) = look()

    assert line.startswith("the spend cap is used up until ")
    assert line.endswith(": jobs come back as STUBs; see: slotgen budget")


def test_a_server_without_room(client, look):
    client.set(COOLDOWN("slotgen", "gpt-x"), int(time.time()), px=60_000)

    (line,) = look()

    assert line.startswith("no request to gpt-x leaves for ")
    assert line.endswith('; to end that: slotgen cooldown clear gpt-x --reason "…"')


def test_a_producer_that_may_read_none_of_it_hears_of_that_once_answers_are_late(client, look, redis_server):
    client.execute_command("ACL", "SETUSER", "producer", "on", ">pass", "~slotgen", "+lpush", "+select")
    with open_sync(redis_server.url.replace("://", "://producer:pass@")) as producer:
        assert look(producer) == []
        assert look(producer, of_answers=True) == [
            "this user of Redis may not read why; slotgen status says it"
        ]
    client.execute_command("ACL", "DELUSER", "producer")


def test_a_key_of_another_type_keeps_nothing_else_from_being_said(client, look):
    client.delete(BUDGET_CAP("slotgen"))
    client.set("slotgen:workers", "x")
    client.set("slotgen:kill", "true")

    (line,) = look(of_answers=True)

    assert line.startswith("the kill switch is on")
