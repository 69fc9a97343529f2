"""A failover under Sentinel: the worker finds the new primary by itself, brake included."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import ExitStack

import pytest
from celery import Celery
from redis.exceptions import RedisError

from tests.builders import a_job, a_spec, an_allowlist
from tests.faults.sentinel import watched_by_sentinel
from worker.adapters.redis_clients import open_sync
from worker.dev.openai_stand_in import Behaviour, OpenAIStandIn
from worker.dev.stack import WorkerProcess, worker_environment

WAIT_SECONDS = 40


def results(client, task_ids):
    deadline = time.monotonic() + WAIT_SECONDS
    found = {}
    while len(found) < len(task_ids):
        assert time.monotonic() < deadline, f"{len(found)} of {len(task_ids)} results"
        try:
            kept = client.mget([f"celery-task-meta-{each}" for each in task_ids])
        except RedisError:
            kept = []
        found = {each: json.loads(value) for each, value in zip(task_ids, kept, strict=False) if value}
        time.sleep(0.1)  # plain GETs have nothing to await
    return [found[each]["result"][0]["status"] for each in task_ids]


def send(url, number):
    with Celery(broker=url, set_as_current=False) as celery:
        specs = [a_spec(a_job(str(uuid.uuid4()))) for _ in range(number)]
        return [celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in specs]


@pytest.mark.timeout(120)
def test_workers_follow_a_failover_and_the_brake_works_on_the_new_primary(tmp_path, saw):
    with ExitStack() as ending:
        redis = ending.enter_context(watched_by_sentinel())
        stand_in = ending.enter_context(OpenAIStandIn())
        worker = WorkerProcess(worker_environment(redis.url, stand_in.base_url), tmp_path / "log", print)
        ending.callback(worker.stop)
        worker.start(["--metrics-port", "0", "--concurrency", "20"])
        redis.client.mset(
            {"slotgen:feature": "true", "slotgen:rollout_percent": "100", "slotgen:allowlist": an_allowlist()}
        )
        redis.client.set("slotgen:kill", "false")
        before = send(redis.primary.url, 10)
        assert results(redis.client, before) == ["COMPLETED"] * 10
        redis.client.wait(1, 5000)

        redis.primary.kill()
        promoted = ending.enter_context(open_sync(redis.replica.url, timeout_seconds=5))
        deadline = time.monotonic() + WAIT_SECONDS
        while promoted.role()[0] != b"master":
            assert time.monotonic() < deadline
            time.sleep(0.05)  # the Sentinel's decision has nothing to await

        stand_in.behave(Behaviour(delay_seconds=60))
        after = send(redis.replica.url, 10)
        stand_in.journal.wait_until(lambda counts: counts.in_flight == 10, WAIT_SECONDS)
        began = time.monotonic()
        promoted.set("slotgen:kill", "true")
        counts = stand_in.journal.wait_until(lambda counts: counts.in_flight == 0, 5)

        halt_ms = (counts.last_connection_closed_mono - began) * 1000
        assert halt_ms < 1000
        assert results(promoted, after) == ["STUB"] * 10
        worker.check()
        saw(
            "failover",
            "kill -9 of the primary under Sentinel, then SET kill true on the new one, 10 calls in flight",
            f"the worker follows by itself; all closed after {halt_ms:.0f} ms, 10 of 10 STUB",
            "1 s, nothing lost",
        )
