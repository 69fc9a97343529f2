"""A fleet that a test may hurt: a persistent Redis, a counting stand-in, and worker processes to kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from celery import Celery

from tests.builders import a_job, a_spec, an_allowlist
from worker.adapters.redis_clients import open_sync
from worker.dev.embedded_redis import EmbeddedRedis
from worker.dev.openai_stand_in import OpenAIStandIn
from worker.dev.stack import WorkerProcess, worker_environment

LOST_SECONDS = 3
GRACE_SECONDS = 2


@dataclass
class Fleet:
    server: EmbeddedRedis
    stand_in: OpenAIStandIn
    client: redis.Redis
    celery: Celery
    folder: Path
    ending: ExitStack
    lines: list[dict[str, Any]] = field(default_factory=list)

    def start_worker(self, concurrency: int = 50, **settings: str) -> WorkerProcess:
        environment = worker_environment(self.server.url, self.stand_in.base_url)
        environment |= {
            "SLOTGEN_WORKER_LOST_SECONDS": str(LOST_SECONDS),
            "SLOTGEN_BRAKE_GRACE_SECONDS": str(GRACE_SECONDS),
        } | settings
        worker = WorkerProcess(environment, self.folder / f"{uuid.uuid4()}.log", self.lines.append)
        self.ending.callback(worker.stop)
        worker.start(["--metrics-port", "0", "--concurrency", str(concurrency)])
        return worker

    def open_dials(self) -> None:
        self.client.mset(
            {"slotgen:feature": "true", "slotgen:rollout_percent": "100", "slotgen:allowlist": an_allowlist()}
        )
        self.client.set("slotgen:kill", "false")

    def send(self, number: int) -> list[str]:
        """Send `number` new jobs and return the task ids."""
        return self.send_jobs([str(uuid.uuid4()) for _ in range(number)])

    def send_jobs(self, job_ids: Iterable[str]) -> list[str]:
        """Send a spec for each of these jobs and return the task ids."""
        specs = [a_spec(job_of(each)) for each in job_ids]
        return [self.celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in specs]

    def outcome(self, task_id: str, timeout: float = 60) -> dict[str, Any]:
        """Return what the result backend has for the task, once it has it.

        Asked by plain GETs, for Celery's own waiting does not survive a Redis that is restarted.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(redis.RedisError):
                kept = self.client.get(f"celery-task-meta-{task_id}")
                if kept:
                    return json.loads(kept)
            time.sleep(0.05)  # plain GETs have nothing to await
        raise TimeoutError(f"no result of {task_id} after {timeout} s")

    def statuses(self, task_ids: list[str]) -> list[str]:
        return [self.outcome(each)["result"][0]["status"] for each in task_ids]

    def wait_for_codes(self, number: int, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while len(self.codes()) < number:
            assert time.monotonic() < deadline, self.codes()
            time.sleep(0.05)  # the lines come from another process

    def codes(self) -> list[str | None]:
        return [line["telemetry"]["errorCode"] for line in list(self.lines) if "telemetry" in line]


def job_of(job_id: str) -> dict[str, Any]:
    """Return the job that a fleet sends under this id.

    The topics differ, so that the stand-in can tell the requests apart.
    """
    return a_job(job_id, input={"topic": job_id})


def kill(worker: WorkerProcess) -> None:
    """Kill -9, and wait until the process is gone."""
    os.kill(worker.pid, signal.SIGKILL)
    worker.stop()


@contextmanager
def fleet(*, persistent: bool = True) -> Iterator[Fleet]:
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="slotgen-faults-")))
        server = ending.enter_context(EmbeddedRedis(persistent=persistent))
        stand_in = ending.enter_context(OpenAIStandIn())
        client = ending.enter_context(open_sync(server.url, timeout_seconds=5))
        celery = ending.enter_context(Celery(broker=server.url, set_as_current=False))
        hurt = Fleet(server, stand_in, client, celery, folder, ending)
        hurt.open_dials()
        yield hurt
