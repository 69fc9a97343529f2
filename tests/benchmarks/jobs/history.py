"""What the operator's history costs a job: CPU of this process for one outcome, against one STUB job."""

from __future__ import annotations

import time

import redis

from gates import Subject
from tasks.generate.recording import OutcomeRecord
from tests.benchmarks.jobs import stub_throughput
from tests.benchmarks.rig.row import Row, at_most
from worker.adapters.redis.jobs.history import OutcomeEntries

OUTCOMES = 20_000
SUBJECT = Subject("job-1", "lesson.intro", "explanatory", "Biology", "GCSE", "AQA", "8461", opted_in=True)
OUTCOME = OutcomeRecord(
    subject=SUBJECT,
    task_id="b08b66c8-2c0e-4d74-8832-954564295b1a",
    output_type="text",
    status="STUB",
    error_code="KILL_SWITCH",
    path="stub",
    latency_ms=0.4,
    gate="kill",
    policy_hash="6dfb333ca9f2",
    executor_version="2026-11-1",
    worker_id="b08b66c82c0e4d748832954564295b1a",
    telemetry_valid=True,
)


def run() -> list[Row]:
    """Return the row."""
    _, jobs_per_second = stub_throughput.jobs_per_second(rounds=1)
    entries, connection = OutcomeEntries(), redis.Connection()
    began = time.process_time()
    for _ in range(OUTCOMES):
        entries.add(OUTCOME)
        # It travels with the result.
        connection.pack_command(*entries.of(OUTCOME.task_id))
        entries.forget(OUTCOME.task_id)
    cpu_seconds = (time.process_time() - began) / OUTCOMES
    share_percent = cpu_seconds * jobs_per_second * 100
    figure = f"{cpu_seconds * 1e6:.0f} us, {share_percent:.1f} %"
    return [at_most("history: CPU of one outcome / one STUB job", share_percent, 5, " %", figure=figure)]
