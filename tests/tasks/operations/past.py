"""Builds what the operator's use cases look back on."""

from __future__ import annotations

from typing import Any

from gates import Subject
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.changes.dials import RecordedChange

NOW_MS = 1_800_000_000_000


def an_outcome(job_id: str = "job-1", *, minutes_ago: float = 1, **changes: Any) -> OutcomeRecord:
    wall_ms = NOW_MS - int(minutes_ago * 60_000)
    subject = Subject(job_id, "lesson.intro", "explanatory", "Biology", "GCSE", "AQA", "8461", opted_in=True)
    values = {
        "entry_id": f"{wall_ms}-0",
        "wall_ms": wall_ms,
        "task_id": "task-1",
        "subject": subject,
        "output_type": "text",
        "status": "COMPLETED",
        "error_code": None,
        "path": "openai",
        "latency_ms": 100.0,
        "cached": False,
        "attempts": 1,
        "cost_nano_usd": 1000,
        "gate": "rollout",
        "rule_id": "biology",
        "policy_hash": "6dfb333ca9f2",
        "executor_version": "2026-11-1",
        "worker_id": "w1",
        "telemetry_valid": True,
        "policy_rule": None,
    }
    return OutcomeRecord(**(values | changes))


def a_change(*, minutes_ago: float = 1, **changes: Any) -> RecordedChange:
    wall_ms = NOW_MS - int(minutes_ago * 60_000)
    values = {
        "audit_id": f"{wall_ms}-0",
        "wall_ms": wall_ms,
        "dial": "rollout_percent",
        "before": b"1",
        "after": b"5",
        "actor": "ann",
        "command": "slotgen rollout 5",
        "reason": "",
        "widened": ("rollout",),
        "override": "",
    }
    return RecordedChange(**(values | changes))
