"""A fleet that a test may hurt: a persistent Redis, a counting stand-in, and worker processes to kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.builders import a_job, a_spec, open_dials
from tests.closing_celery import Celery
from tests.fakes.openai.server import FakeOpenAI
from tests.log_lines import LogLines
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import WorkerProcess, worker_environment

LOST_SECONDS = 3
GRACE_SECONDS = 2


@dataclass
class Fleet:
    server: EmbeddedRedis
    fake_openai: FakeOpenAI
    client: redis.Redis
    celery: Celery
    folder: Path
    workers: list[WorkerProcess] = field(default_factory=list)
    lines: LogLines = field(default_factory=LogLines)

    def start_worker(self, concurrency: int = 50, **settings: str) -> WorkerProcess:
        environment = worker_environment(self.server.url, self.fake_openai.base_url)
        environment |= {
            "SLOTGEN_WORKER_LOST_SECONDS": str(LOST_SECONDS),
            "SLOTGEN_BRAKE_GRACE_SECONDS": str(GRACE_SECONDS),
        } | settings
        worker = WorkerProcess(environment, self.folder / f"{uuid.uuid4()}.log", self.lines.hear)
        self.workers.append(worker)
        worker.start(["--metrics-port", "0", "--concurrency", str(concurrency)])
        return worker

    def start_workers(self, number: int, concurrency: int = 50, **settings: str) -> list[WorkerProcess]:
        """Start several at the same time."""
        with ThreadPoolExecutor(number) as starting:
            return list(starting.map(lambda _: self.start_worker(concurrency, **settings), range(number)))

    def stop_workers(self) -> None:
        with ThreadPoolExecutor() as stopping:
            list(stopping.map(WorkerProcess.stop, self.workers))

    def open_dials(self) -> None:
        self.client.mset(open_dials())

    def send(self, number: int) -> list[str]:
        """Send `number` new jobs and return the task ids."""
        return self.send_jobs([str(uuid.uuid4()) for _ in range(number)])

    def send_jobs(self, job_ids: Iterable[str]) -> list[str]:
        """Send a spec for each of these jobs and return the task ids."""
        specs = [a_spec(job_of(each)) for each in job_ids]
        return [self.celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in specs]

    def outcome(self, task_id: str) -> dict[str, Any]:
        """Return what the result backend has for the task, once it has it.

        Asked by plain GETs, for Celery's own waiting does not survive a Redis that is restarted.
        """

        def kept() -> bytes | None:
            with contextlib.suppress(redis.RedisError):
                return self.client.get(f"celery-task-meta-{task_id}")
            return None

        return json.loads(eventually(kept, within_seconds=60, saying=f"there is no result of {task_id}"))

    def statuses(self, task_ids: list[str]) -> list[str]:
        return [self.outcome(each)["result"][0]["status"] for each in task_ids]

    def codes_of(self, task_ids: list[str]) -> list[str | None]:
        """Return the errorCode of each outcome of these tasks, once every task has one.

        A line may come later than its result: those of an earlier test must not count.
        """

        def found(lines: LogLines) -> list[dict[str, Any]]:
            return [each for each in lines.outcomes if each["details"]["task_id"] in wanted]

        def complete(lines: LogLines) -> bool:
            return {each["details"]["task_id"] for each in found(lines)} == wanted

        wanted = set(task_ids)
        self.lines.wait_for(complete, "some outcomes never came")
        return [each["telemetry"]["errorCode"] for each in found(self.lines)]

    def wait_until_nothing_is_held(self) -> None:
        """A result comes a moment before its message is acknowledged."""

        held: list[Any] = []

        def settled() -> bool:
            held[:] = self.client.hkeys("slotgen:unacked")
            return not held

        try:
            eventually(settled)
        except AssertionError:
            raise AssertionError(f"nobody works on what is held: {held}") from None


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
        fake_openai = ending.enter_context(FakeOpenAI())
        client = ending.enter_context(open_sync(server.url, timeout_seconds=5))
        celery = ending.enter_context(Celery(broker=server.url, set_as_current=False))
        hurt = Fleet(server, fake_openai, client, celery, folder)
        ending.callback(hurt.stop_workers)
        hurt.open_dials()
        yield hurt
