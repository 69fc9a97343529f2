"""A server that asks to wait, and one that refuses the account: the whole fleet listens to one answer."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from celery import Celery

from tests.builders import a_job, a_spec, an_allowlist
from worker.dev.openai_stand_in import Behaviour
from worker.dev.stack import stack

OPEN = {"slotgen:kill": "false", "slotgen:feature": "true", "slotgen:rollout_percent": "100"}


def open_dials(system):
    system.client.mset(OPEN | {"slotgen:allowlist": an_allowlist()})


def send(celery, number):
    # Topics differ, so that the stand-in can tell the requests apart.
    jobs = [a_job(each, input={"topic": each}) for each in (str(uuid.uuid4()) for _ in range(number))]
    return [celery.send_task("slotgen.generate", args=[a_spec(each)], queue="slotgen") for each in jobs]


def statuses(pending, timeout=60):
    return [each.get(timeout=timeout)[0]["status"] for each in pending]


def outcomes(system, expected):
    """Return how many outcomes were recorded, once the workers have written what they had."""
    deadline = time.monotonic() + 5
    while system.client.xlen("slotgen:history") < expected:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # another process writes them
    return system.client.xlen("slotgen:history")


@pytest.fixture
def config(tmp_path):
    from importlib import resources

    document = json.loads((resources.files("tasks") / "executor.v1.json").read_text())

    def write(**changes):
        path = tmp_path / "executor.json"
        path.write_text(json.dumps(document | {"version": "test"} | changes))
        return {"SLOTGEN_EXECUTOR_CONFIG": str(path)}

    return write


@pytest.mark.timeout(120)
def test_no_request_leaves_before_its_time_and_none_is_wasted():
    limited = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="2")
    with (
        stack(concurrency=200) as system,
        Celery(broker=system.redis_url, backend=system.redis_url) as celery,
    ):
        open_dials(system)
        system.stand_in.behave(limited)
        pending = send(celery, 200)
        system.stand_in.journal.wait_until(lambda counts: counts.rejected >= 1, 20)
        refused_mono = time.monotonic()
        system.stand_in.behave(Behaviour(delay_seconds=0.2))

        assert set(statuses(pending)) == {"COMPLETED"}

        records = system.stand_in.journal.records()
        later = [each.started_mono for each in records if each.started_mono > refused_mono + 0.2]
        assert min(later) - refused_mono >= 1.5
        # The jobs, and one request for this worker's one cooldown.
        assert len(records) <= 201
        assert outcomes(system, 200) == 200


@pytest.mark.timeout(120)
def test_one_request_pays_for_learning_that_the_account_is_refused(config):
    settings = config(traffic={"maxAgeSeconds": 3600, "probeSeconds": 1})
    with (
        stack(concurrency=50, settings=settings) as system,
        Celery(broker=system.redis_url, backend=system.redis_url) as celery,
    ):
        open_dials(system)
        system.stand_in.behave(Behaviour(status=429, error_code="insufficient_quota"))

        assert set(statuses(send(celery, 50))) == {"FAILED"}
        # The first, and at most a probe a second.
        assert system.stand_in.journal.counts().begun <= 3
        system.stand_in.behave(Behaviour())
        deadline = time.monotonic() + 20
        while statuses(send(celery, 1)) != ["COMPLETED"]:
            assert time.monotonic() < deadline
        assert system.client.exists("slotgen:breaker") == 0
        assert set(statuses(send(celery, 20))) == {"COMPLETED"}


@pytest.mark.timeout(120)
def test_a_job_that_is_put_off_keeps_its_place_in_the_queue_until_it_is_too_old(config):
    limited = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="7")
    settings = config(jobDeadlineSeconds=5, traffic={"maxAgeSeconds": 3600, "probeSeconds": 1})
    with (
        stack(settings=settings) as system,
        Celery(broker=system.redis_url, backend=system.redis_url) as celery,
    ):
        open_dials(system)
        system.stand_in.behave(limited)
        pending = send(celery, 5)
        system.stand_in.journal.wait_until(lambda counts: counts.rejected >= 1, 20)
        system.stand_in.behave(Behaviour())

        assert statuses(pending) == ["COMPLETED"] * 5
        assert outcomes(system, 5) == 5
        assert (system.client.llen("slotgen"), system.client.hlen("slotgen:unacked")) == (0, 0)


@pytest.mark.timeout(120)
def test_a_job_that_was_put_off_for_too_long_fails(config):
    limited = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="30")
    settings = config(jobDeadlineSeconds=4, traffic={"maxAgeSeconds": 0, "probeSeconds": 1})
    with (
        stack(settings=settings) as system,
        Celery(broker=system.redis_url, backend=system.redis_url) as celery,
    ):
        open_dials(system)
        system.stand_in.behave(limited)

        assert statuses(send(celery, 1)) == ["FAILED"]
        assert system.stand_in.journal.counts().begun == 1
