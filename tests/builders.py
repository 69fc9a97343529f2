"""Builds documents for tests; each call returns a fresh one."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

from gates import DIALS, Ceilings, Controls


def a_job(job_id: str = "job-1", **changes: Any) -> dict[str, Any]:
    return {
        "jobId": job_id,
        "slotId": "lesson.intro",
        "kind": "explanatory",
        "mode": "generate",
        "input": {"topic": "Cell structure"},
        "output": {"field": "body", "type": "text"},
        "sources": [],
        "required": True,
    } | changes


def new_job(**changes: Any) -> dict[str, Any]:
    """Return a job that no other test sends, on a topic of its own: its request can be told from others."""
    job_id = f"job-{uuid.uuid4()}"
    return a_job(job_id, **{"input": {"topic": job_id}} | changes)


def a_spec(*jobs: dict[str, Any], allow_ai: Any = True, **changes: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"requiresReview": True}
    if allow_ai is not None:
        metadata["allowAI"] = allow_ai
    return {
        "version": "v1",
        "appliesTo": {"subject": "Biology", "level": "GCSE", "board": "AQA", "specVersion": "8461"},
        "jobs": list(jobs) or [a_job()],
        "metadata": metadata,
    } | changes


def a_rule(rule_id: str = "biology", **changes: Any) -> dict[str, Any]:
    return {
        "id": rule_id,
        "enabled": True,
        "appliesTo": {"subject": ["Biology"], "level": ["GCSE"], "board": ["AQA"], "specVersion": ["8461"]},
        "kinds": ["statutory", "assessment", "explanatory", "revision"],
        "slotIds": [],
        "maxJobsPerRun": 100,
    } | changes


def an_allowlist(*rules: dict[str, Any], **changes: Any) -> str:
    return json.dumps(
        {
            "version": "allowlist.v1",
            "enabled": True,
            "mode": "deny_by_default",
            "rules": list(rules) or [a_rule()],
        }
        | changes
    )


# As open as each gets.
OPEN = {dial.name: dial.open_value for dial in DIALS if dial.open_value}


def open_dials(**dials: str) -> dict[str, str]:
    """The keys that let every job of the builders through, but for `dials`, for one MSET."""
    values = {dial: value.decode() for dial, value in OPEN.items()} | {"allowlist": an_allowlist()}
    return {f"slotgen:{dial}": value for dial, value in (values | dials).items()}


def controls(**dials: Any) -> Controls:
    """Return dials that let every matching job through, but for `dials` (None is an absent key)."""
    values = OPEN | {"allowlist": an_allowlist().encode()} | dials
    return Controls.parse(values, Ceilings())


def a_message(
    spec: Any = None, *, body: bytes | None = None, task_id: str | None = None, **changes: Any
) -> dict[str, Any]:
    """Return the Celery message (protocol 2) that carries `spec`, or the raw `body`."""
    task_id = task_id or str(uuid.uuid4())
    content = body if body is not None else json.dumps([[spec], {}, {}]).encode()
    return {
        "body": base64.b64encode(content).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "slotgen.generate", "id": task_id, "retries": 0},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "slotgen"},
            "delivery_mode": 2,
            "priority": 0,
        },
    } | changes
