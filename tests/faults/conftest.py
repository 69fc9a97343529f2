"""One fleet for all tests of a module that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, fleet


@pytest.fixture(scope="module")
def at_work(request) -> Iterator[Fleet]:
    """One worker with room for as many calls as its module's `CONCURRENCY`."""
    with fleet() as hurt:
        worker = hurt.start_worker(request.module.CONCURRENCY)
        yield hurt
        worker.check()


@pytest.fixture
def hurt(at_work: Fleet) -> Fleet:
    """Return it with every dial open, memory without a bound, nothing dead and a quick stand-in."""
    at_work.client.config_set("maxmemory", "0")
    at_work.client.config_set("maxmemory-policy", "noeviction")
    at_work.client.delete("slotgen:dead")
    at_work.open_dials()
    at_work.fake_openai.behave(Behaviour())
    return at_work
