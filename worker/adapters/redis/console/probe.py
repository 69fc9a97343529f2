"""Sends a job spec as any producer in any language could, but ahead of all others; waits for its results."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import redis

from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import TASK_META
from worker.adapters.redis.message import raw_message

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RedisProbe:
    """A producer without Celery. Its results stay in Redis no longer than a minute."""

    client: redis.Redis
    namespace: str

    def send(self, spec: dict[str, Any]) -> str:
        """Put `spec` at the head of the queue; return its task id. Raises StoreUnavailable."""
        task_id = str(uuid.uuid4())
        with unavailable(self.client):
            # Producers LPUSH, at the tail: behind a long backlog no probe would be answered in time.
            self.client.rpush(self.namespace, raw_message(spec, task_id, self.namespace))
        return task_id

    def wait_for_results(self, task_id: str, timeout_seconds: float) -> None:
        """Return once the task has its results, or the time is up. Raises StoreUnavailable."""
        deadline_mono = time.monotonic() + timeout_seconds
        key = TASK_META(task_id)
        with unavailable(self.client):
            while not self.client.expire(key, 60) and time.monotonic() <= deadline_mono:
                time.sleep(_POLL_SECONDS)  # a plain key has nothing to await


def probe_spec(*, opted_in: bool) -> dict[str, Any]:
    """Return a spec of one job that no policy admits, so that it costs nothing whatever happens."""
    name = f"probe-{uuid.uuid4()}"
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
