"""A whole system, started once for each test process: real Redis, real worker process, real HTTP stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from celery.result import AsyncResult

from tests.builders import open_dials
from tests.closing_celery import Celery
from tests.fakes.openai.server import Behaviour, FakeOpenAI
from tests.log_lines import LogLines
from worker.dev.stack import Stack, stack, worker_environment

WAIT_SECONDS = 60
# A worker that nothing has happened to says nothing: what a test sees of it, an event has brought.
SELDOM = {"SLOTGEN_WORKER_LOST_SECONDS": "600"}


@dataclass
class System:
    """The running system and what its worker has said so far."""

    stack: Stack
    fake_openai: FakeOpenAI
    celery: Celery
    lines: LogLines

    def send(self, spec: Any) -> AsyncResult:
        return self.celery.send_task("slotgen.generate", args=[spec], queue="slotgen")

    def answer(self, spec: Any) -> list[dict[str, Any]]:
        return self.send(spec).get(timeout=WAIT_SECONDS)

    def push(self, raw: bytes | dict[str, Any]) -> None:
        """LPUSH a raw message, as any client in any language could."""
        self.stack.client.lpush("slotgen", raw if isinstance(raw, bytes) else json.dumps(raw))

    def set_dials(self, **dials: Any) -> None:
        """Open everything but for `dials`; None deletes the key."""
        values = open_dials() | {f"slotgen:{dial}": value for dial, value in dials.items()}
        with self.stack.client.pipeline() as together:
            for key, value in values.items():
                together.delete(key) if value is None else together.set(key, value)
            together.execute()

    def forget_the_server(self) -> None:
        """Forget what the stand-in told the fleet in an earlier test: no room, no account, bad answers."""
        client = self.stack.client
        told = ["slotgen:breaker", "slotgen:breaker:probe", "slotgen:guard"]
        client.delete(*told, *client.keys("slotgen:cooldown:*"))

    def wait_for_line(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return self.lines.wait_for(lambda lines: next((line for line in lines if matches(line)), None))

    def event_of(self, job_id: str) -> dict[str, Any]:
        """The telemetry line of `job_id`: telemetry and details."""
        return self.wait_for_line(lambda line: line.get("telemetry", {}).get("jobId") == job_id)


@contextmanager
def a_system(**options: Any) -> Iterator[System]:
    """Run a system of its own, with these options of `stack`; no dial is set."""
    lines = LogLines()
    with (
        FakeOpenAI() as fake_openai,
        stack(openai_url=fake_openai.base_url, on_line=lines.hear, **options) as started,
        Celery(broker=started.redis_url, backend=started.redis_url, set_as_current=False) as celery,
    ):
        yield System(started, fake_openai, celery, lines)


@pytest.fixture(scope="session")
def running() -> Iterator[System]:
    with a_system(concurrency=64, settings=SELDOM) as started:
        yield started


@pytest.fixture
def system(running: System) -> System:
    """The running system with every dial open, an empty queue and a quick stand-in."""
    running.set_dials()
    running.forget_the_server()
    running.fake_openai.behave(Behaviour())
    return running


@pytest.fixture
def slotgen(system: System) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `slotgen` with these words against the running system; return the finished process."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "worker.cli", *words],
            env=worker_environment(system.stack.redis_url, None),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    return run
