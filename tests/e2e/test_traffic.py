"""A server that asks to wait, and one that refuses the account: the whole fleet listens to one answer."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from tests.builders import a_spec, new_job
from tests.e2e.conftest import a_system
from tests.fakes.openai.server import Behaviour, Reply
from tests.waiting import eventually

# Each decision is made on a fake clock in tests/tasks/limits/test_rate_limiter.py and test_generation.py.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(120)]


def send(system, number):
    # Topics differ, so that the stand-in can tell the requests apart.
    jobs = [new_job() for _ in range(number)]
    return [system.send(a_spec(each)) for each in jobs]


def statuses(pending, timeout=60):
    return [each.get(timeout=timeout)[0]["status"] for each in pending]


def outcomes(system, expected):
    """Return how many outcomes were recorded, once the workers have written what they had."""
    eventually(lambda: system.stack.client.xlen("slotgen:history") >= expected)
    return system.stack.client.xlen("slotgen:history")


def warm_up(system):
    """Let the model's client be imported, so that later jobs have their deadline for themselves.

    Returns how many jobs that took.
    """
    taken = []

    def completed():
        taken.extend(statuses(send(system, 1)))
        return taken[-1] == "COMPLETED"

    eventually(completed)
    return len(taken)


@pytest.fixture
def config(tmp_path):
    document = json.loads((resources.files("tasks") / "executor.v1.json").read_text())

    def write(**changes):
        path = tmp_path / "executor.json"
        path.write_text(json.dumps(document | {"version": "test"} | changes))
        return {"SLOTGEN_EXECUTOR_CONFIG": str(path)}

    return write


def test_no_request_leaves_before_its_time_and_none_is_wasted():
    limited = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="2")
    with a_system(concurrency=200) as system:
        system.set_dials()
        system.fake_openai.play_next(limited)
        pending = send(system, 1)
        system.fake_openai.journal.wait_until(lambda counts: counts.rejected == 1, 60)
        eventually(lambda: system.stack.client.keys("slotgen:cooldown:*"))
        pending += send(system, 199)

        assert set(statuses(pending)) == {"COMPLETED"}

        records = system.fake_openai.journal.records()
        (refused,) = (each for each in records if each.outcome is Reply.REJECTED)
        # Redis counts the cooldown in whole milliseconds.
        assert min(each.started_mono for each in records if each is not refused) >= refused.ended_mono + 1.99
        assert len(records) == 201
        assert outcomes(system, 200) == 200


def test_one_request_pays_for_learning_that_the_account_is_refused(config):
    settings = config(traffic={"maxAgeSeconds": 3600, "probeSeconds": 3600})
    with a_system(concurrency=50, settings=settings) as system:
        system.set_dials()
        system.fake_openai.behave(Behaviour(status=429, error_code="insufficient_quota"))

        assert statuses(send(system, 1)) == ["FAILED"]
        assert set(statuses(send(system, 49))) == {"FAILED"}
        assert system.fake_openai.journal.counts().begun == 1

        # An hour later the next one asks again.
        system.stack.client.delete("slotgen:breaker:probe")
        system.fake_openai.behave(Behaviour())
        assert statuses(send(system, 1)) == ["COMPLETED"]
        assert system.stack.client.exists("slotgen:breaker") == 0
        assert set(statuses(send(system, 20))) == {"COMPLETED"}


def test_a_job_that_is_put_off_keeps_its_place_in_the_queue_until_it_is_too_old(config):
    limited = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="4")
    settings = config(jobDeadlineSeconds=3, traffic={"maxAgeSeconds": 3600, "probeSeconds": 1})
    with a_system(settings=settings) as system:
        system.set_dials()
        before = warm_up(system)
        system.fake_openai.behave(limited)
        pending = send(system, 5)
        system.fake_openai.journal.wait_until(lambda counts: counts.rejected >= 1, 60)
        system.fake_openai.behave(Behaviour())

        assert statuses(pending) == ["COMPLETED"] * 5
        assert outcomes(system, before + 5) == before + 5
        eventually(lambda: system.stack.client.hlen("slotgen:unacked") == 0)
        assert system.stack.client.llen("slotgen") == 0


def test_a_job_that_was_put_off_for_too_long_fails(config):
    limited = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="30")
    settings = config(jobDeadlineSeconds=2, traffic={"maxAgeSeconds": 0, "probeSeconds": 1})
    with a_system(settings=settings) as system:
        system.set_dials()
        warm_up(system)
        begun = system.fake_openai.journal.counts().begun
        system.fake_openai.behave(limited)

        assert statuses(send(system, 1)) == ["FAILED"]
        assert system.fake_openai.journal.counts().begun == begun + 1
