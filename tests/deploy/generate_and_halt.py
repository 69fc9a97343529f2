"""The smoke run for a server that is none of our own: jobs are generated, halted, and generated again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.builders import a_message, a_spec, new_job, open_dials
from tests.fakes.openai.server import Behaviour, FakeOpenAI
from tests.log_lines import LogLines
from tests.waiting import eventually
from worker.client import InvalidMessage, Producer
from worker.dev.stack import WorkerProcess, worker_environment

CALLS = 10
WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Urls:
    """Of one Redis, by the role that uses it."""

    worker: str
    producer: str
    operator: str


def slotgen(url: str, *words: str, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", *words, "--json"],
        env=os.environ | worker_environment(url, None),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == code, done
    return json.loads(done.stdout)


def generate_and_halt(urls: Urls, admin: redis.Redis, folder: Path) -> tuple[dict[str, Any], LogLines]:
    """Return what `slotgen kill` said with calls in flight, and all that the worker has said."""
    lines = LogLines()
    with ExitStack() as ending:
        fake_openai = ending.enter_context(FakeOpenAI())
        worker = WorkerProcess(
            worker_environment(urls.worker, fake_openai.base_url), folder / "log", lines.hear
        )
        ending.callback(worker.stop)
        worker.start(["--metrics-port", "0", "--concurrency", str(CALLS)])
        admin.mset(open_dials())
        producer = ending.enter_context(Producer.open(urls.producer))

        def completed() -> bool:
            (delivery,) = producer.wait(producer.send(a_spec(new_job())), timeout_seconds=WAIT_SECONDS)
            return delivery.status == "COMPLETED"

        # A worker that has only just begun may find its first dials too late.
        eventually(completed, within_seconds=WAIT_SECONDS)
        admin.lpush("slotgen", json.dumps(a_message({"version": "v9"}, task_id="broken")))
        with pytest.raises(InvalidMessage):
            producer.wait("broken", timeout_seconds=WAIT_SECONDS)
        assert admin.xlen("slotgen:dead") == 1
        fake_openai.behave(Behaviour(delay_seconds=WAIT_SECONDS))
        sent = producer.send_all([a_spec(new_job()) for _ in range(CALLS)])
        fake_openai.journal.wait_until(lambda counts: counts.in_flight == CALLS, WAIT_SECONDS)

        halt = slotgen(urls.operator, "kill", "--reason", "smoke")

        assert fake_openai.journal.counts().in_flight == 0
        for each in sent:
            (delivery,) = producer.wait(each, timeout_seconds=WAIT_SECONDS)
            assert (delivery.status, delivery.error_code) == ("STUB", "KILL_SWITCH")
        assert slotgen(urls.operator, "status")["brake"]["state"] == "engaged"
        fake_openai.behave(Behaviour())
        slotgen(urls.operator, "resume", "--reason", "all is well")
        eventually(completed, within_seconds=WAIT_SECONDS)
        worker.check()
    return halt, lines
