"""A whole system, started once for each test process: real Redis, real worker process, real HTTP stand-in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from celery import Celery
from celery.result import AsyncResult

from tests.builders import an_allowlist
from worker.dev.openai_stand_in import Behaviour, OpenAIStandIn
from worker.dev.stack import Stack, stack

WAIT_SECONDS = 30


@dataclass
class System:
    """The running system and what its worker has said so far."""

    stack: Stack
    celery: Celery
    lines: list[dict[str, Any]]
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def send(self, spec: Any) -> AsyncResult:
        return self.celery.send_task("slotgen.generate", args=[spec], queue="slotgen")

    def answer(self, spec: Any) -> list[dict[str, Any]]:
        return self.send(spec).get(timeout=WAIT_SECONDS)

    def push(self, raw: bytes | dict[str, Any]) -> None:
        """LPUSH a raw message, as any client in any language could."""
        self.stack.client.lpush("slotgen", raw if isinstance(raw, bytes) else json.dumps(raw))

    def set_dials(self, **dials: Any) -> None:
        """Open everything but for `dials`; None deletes the key."""
        values = {
            "kill": "false",
            "feature": "true",
            "rollout_percent": "100",
            "allowlist": an_allowlist(),
        } | dials
        for dial, value in values.items():
            if value is None:
                self.stack.client.delete(f"slotgen:{dial}")
            else:
                self.stack.client.set(f"slotgen:{dial}", value)

    def forget_the_server(self) -> None:
        """Forget what the stand-in told the fleet in an earlier test: no room, no account, bad answers."""
        client = self.stack.client
        told = ["slotgen:breaker", "slotgen:breaker:probe", "slotgen:guard"]
        client.delete(*told, *client.keys("slotgen:cooldown:*"))

    def hear(self, line: dict[str, Any]) -> None:
        with self.arrived:
            self.lines.append(line)
            self.arrived.notify_all()

    def wait_for_line(self, matches: Any) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found.extend(line for line in self.lines if matches(line))
            return bool(found)

        with self.arrived:
            assert self.arrived.wait_for(seen, timeout=WAIT_SECONDS), "the worker never said it"
        return found[0]

    def event_of(self, job_id: str) -> dict[str, Any]:
        """The telemetry line of `job_id`: telemetry and details."""
        return self.wait_for_line(lambda line: line.get("telemetry", {}).get("jobId") == job_id)

    @property
    def stand_in(self) -> OpenAIStandIn:
        assert self.stack.stand_in
        return self.stack.stand_in


@pytest.fixture(scope="session")
def running() -> Iterator[System]:
    lines: list[dict[str, Any]] = []
    holder: list[System] = []

    def hear(line: dict[str, Any]) -> None:
        if holder:
            holder[0].hear(line)
        else:
            lines.append(line)

    with stack(concurrency=64, on_line=hear) as started:
        celery = Celery(broker=started.redis_url, backend=started.redis_url, set_as_current=False)
        holder.append(System(started, celery, lines))
        yield holder[0]
        celery.close()


@pytest.fixture
def system(running: System) -> System:
    """The running system with every dial open, an empty queue and a quick stand-in."""
    running.set_dials()
    running.forget_the_server()
    running.stand_in.behave(Behaviour())
    return running
