"""The consumer tries to reach Redis for as long as it takes, and never waits long between two attempts."""

from __future__ import annotations

import itertools

import kombu
import kombu.utils.functional
import pytest

from worker.adapters.celery.consumer import _Consumer
from worker.adapters.celery.refusals import Refusals
from worker.adapters.redis.errors import Cause

NOWHERE = "redis://127.0.0.1:1/0"
# Celery gives up after a hundred.
ATTEMPTS = 150


class Enough(Exception):  # noqa: N818 - it says what it is
    pass


def test_a_redis_that_is_away_is_tried_at_least_every_two_seconds_without_end(monkeypatch):
    slept, attempts = [], itertools.count(1)

    def sleep(seconds):
        slept.append(seconds)

    def attempted():
        if next(attempts) > ATTEMPTS:
            raise Enough

    refusals = Refusals(NOWHERE)
    monkeypatch.setattr(kombu.utils.functional, "sleep", sleep)
    monkeypatch.setattr("worker.adapters.celery.consumer.maybe_shutdown", lambda: None)
    with kombu.Connection(NOWHERE, transport_options={"refusals": refusals}) as away:
        refused = refusals.refused
        monkeypatch.setattr(Refusals, "refused", lambda self, error: (attempted(), refused(error)))
        with pytest.raises(Enough):
            _Consumer.ensure_connected(None, away)

    assert refusals.cause is Cause.AWAY
    assert max(slept) <= 2
    assert sum(slept) > ATTEMPTS
