"""Sends a job spec as any producer in any language could, but ahead of all others; waits for its results."""

import time
import uuid
from typing import Any

import redis

from tasks.operations.probes import probe_name
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import TASK_META
from worker.adapters.redis.message import raw_message

_POLL_SECONDS = 0.05


def send_probe(client: redis.Redis, namespace: str, spec: dict[str, Any]) -> str:
    """Put `spec` at the head of the queue; return its task id. Raises StoreUnavailable."""
    task_id = str(uuid.uuid4())
    with unavailable(client):
        # Producers LPUSH, at the tail: behind a long backlog no probe would be answered in time.
        client.rpush(namespace, raw_message(spec, task_id, namespace))
    return task_id


def wait_for_results(client: redis.Redis, task_id: str, timeout_seconds: float) -> None:
    """Return once the task has its results, which Redis then keeps for a minute, or the time is up.

    Raises StoreUnavailable.
    """
    deadline_mono = time.monotonic() + timeout_seconds
    with unavailable(client):
        while not client.expire(TASK_META(task_id), 60) and time.monotonic() <= deadline_mono:
            time.sleep(_POLL_SECONDS)  # a plain key has nothing to await


def probe_spec(*, opted_in: bool) -> dict[str, Any]:
    """Return a spec of one job that no policy admits, so that it costs nothing whatever happens."""
    name = probe_name("probe")
    job = {
        "jobId": name,
        "slotId": "probe",
        "kind": "explanatory",
        "mode": "generate",
        "input": {},
        "output": {"field": "probe", "type": "text"},
        "sources": [],
        "required": False,
    }
    return {
        "version": "v1",
        "appliesTo": {"subject": name, "level": "probe", "board": "probe", "specVersion": "probe"},
        "jobs": [job],
        "metadata": {"requiresReview": False, "allowAI": opted_in},
    }
