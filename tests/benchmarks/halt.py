"""The brake: from the SET to the last connection closed, with hundreds of calls in flight on one worker."""

from __future__ import annotations

import time
import uuid

from celery import Celery

from tests.benchmarks.rig import DEADLINE_SECONDS
from tests.builders import a_job, a_spec, an_allowlist
from worker.dev.openai_stand_in import Behaviour
from worker.dev.stack import stack

IN_FLIGHT = 500
RUNS = 10


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    with stack(concurrency=IN_FLIGHT) as system:
        halts = sorted(one_halt(system) for _ in range(RUNS))
    return [
        (f"halt with {IN_FLIGHT} in flight, median of {RUNS}", f"{halts[len(halts) // 2]:.0f} ms", ""),
        (f"halt with {IN_FLIGHT} in flight, worst of {RUNS}", f"{halts[-1]:.0f} ms", "<= 100 ms"),
    ]


def one_halt(system) -> float:
    journal = system.stand_in.journal
    system.client.mset(
        {"slotgen:feature": "true", "slotgen:rollout_percent": "100", "slotgen:allowlist": an_allowlist()}
    )
    system.client.set("slotgen:kill", "false")
    system.stand_in.behave(Behaviour(delay_seconds=DEADLINE_SECONDS))
    before = journal.counts()
    with Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False) as celery:
        specs = [a_spec(*(a_job(str(uuid.uuid4())) for _ in range(50))) for _ in range(IN_FLIGHT // 50)]
        pending = [celery.send_task("slotgen.generate", args=[spec], queue="slotgen") for spec in specs]
        journal.wait_until(lambda counts: counts.in_flight == IN_FLIGHT, 60)
        began = time.monotonic()
        system.client.set("slotgen:kill", "true")
        time.sleep(0.5)  # a waiter that wakes at every closed connection would slow the stand-in it measures
        journal.wait_until(lambda counts: counts.cancelled - before.cancelled == IN_FLIGHT, 60)
        closed = journal.counts().last_connection_closed_mono
        for each in pending:
            each.get(timeout=60)
    return (closed - began) * 1000
