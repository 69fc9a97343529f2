"""A failover under Sentinel: the worker finds the new primary by itself, brake included."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress

import pytest
from redis.exceptions import RedisError

from tests.builders import a_spec, new_job, open_dials
from tests.closing_celery import Celery
from tests.fakes.openai.server import Behaviour, FakeOpenAI
from tests.faults.rig.halting import PROMISED_MS
from tests.faults.rig.promise import verdict, within
from tests.faults.rig.sentinel import in_step, replication, watched_by_sentinel
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import WorkerProcess, worker_environment

pytestmark = pytest.mark.thorough


def statuses(client, task_ids):
    """The first job's status of each task, once each has one; Redis may be away meanwhile."""

    def kept():
        with suppress(RedisError):
            found = client.mget([f"celery-task-meta-{each}" for each in task_ids])
            return found if all(found) else None

    return [
        json.loads(each)["result"][0]["status"] for each in eventually(kept, saying="results are missing")
    ]


def send(url, number):
    with Celery(broker=url, set_as_current=False) as celery:
        specs = [a_spec(new_job()) for _ in range(number)]
        return [celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in specs]


@pytest.mark.timeout(120)
def test_workers_follow_a_failover_and_the_brake_works_on_the_new_primary(tmp_path, saw):
    with ExitStack() as ending:
        redis = ending.enter_context(watched_by_sentinel())
        fake_openai = ending.enter_context(FakeOpenAI())
        worker = WorkerProcess(worker_environment(redis.url, fake_openai.base_url), tmp_path / "log", print)
        ending.callback(worker.stop)
        worker.start(["--metrics-port", "0", "--concurrency", "20"])
        redis.client.mset(open_dials())
        before = send(redis.primary.url, 10)
        assert statuses(redis.client, before) == ["COMPLETED"] * 10
        eventually(lambda: in_step(redis.primary, redis.replica), saying="the replica lags behind")

        redis.primary.kill()
        eventually(lambda: replication(redis.replica)["role"] == "master", saying="nobody was promoted")
        promoted = ending.enter_context(open_sync(redis.replica.url, timeout_seconds=5))

        fake_openai.behave(Behaviour(delay_seconds=60))
        after = send(redis.replica.url, 10)
        fake_openai.journal.wait_until(lambda counts: counts.in_flight == 10, 60)
        began_mono = time.monotonic()
        promoted.set("slotgen:kill", "true")
        counts = fake_openai.journal.wait_until(lambda counts: counts.in_flight == 0, 60)

        halt_ms = (counts.last_connection_closed_mono - began_mono) * 1000
        assert statuses(promoted, after) == ["STUB"] * 10
        worker.check()
        saw(
            "failover",
            "kill -9 of the primary under Sentinel, then SET kill true on the new one, 10 calls in flight",
            f"the worker follows by itself; all closed after {halt_ms:.0f} ms, 10 of 10 STUB",
            f"nothing lost; <= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
        )
        within(halt_ms, PROMISED_MS)
