"""A running system has no key in Redis that is not in the table, and each has its type."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.builders import a_spec, new_job
from tests.e2e.conftest import WAIT_SECONDS
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.dial_keys import TABLE
from worker.client import Producer


def rows_of(name):
    """Return the rows that a key may be one of: `budget:holds` is of its own row, and of an account's."""
    return [key for key in TABLE if key.type != "channel" and fnmatchcase(name, key.glob("slotgen"))]


def test_every_key_of_a_running_system_is_in_the_table(system):
    client = system.stack.client
    RedisDials(client, "slotgen").read()
    system.answer(a_spec(new_job(), new_job(mode="verbatim")))
    with pytest.raises(Exception, match="jobs"):
        system.answer({"version": "v1"})
    system.set_dials(budget_usd="9")
    with Producer.open(system.stack.redis_url) as producer:
        producer.wait(producer.send(a_spec(new_job())), timeout_seconds=WAIT_SECONDS)
    client.delete("slotgen:budget_usd")

    found = {name.decode(): client.type(name).decode() for name in client.keys("*")}
    # Gone since it was listed, as what is unacknowledged may be.
    found = {name: kind for name, kind in found.items() if kind != "none"}

    assert {name for name, kind in found.items() if kind not in {key.type for key in rows_of(name)}} == set()
    seen = {key.pattern for name in found for key in rows_of(name)}
    assert seen >= {"{ns}:kill", "{ns}:workers", "{ns}:answers", "{ns}:history", "{ns}:dead", "{ns}:taken"}
