"""Sends a job spec as any producer in any language could, but ahead of all others; waits for its results."""

import json
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

    def results(self, task_id: str, timeout_seconds: float) -> list[dict[str, Any]] | None:
        """Return the task's results, or None when none have come in time. Raises StoreUnavailable."""
        deadline_mono = time.monotonic() + timeout_seconds
        key = TASK_META(task_id)
        with unavailable(self.client):
            while (kept := self.client.get(key)) is None:
                if time.monotonic() > deadline_mono:
                    return None
                time.sleep(_POLL_SECONDS)  # a plain key has nothing to await
            self.client.expire(key, 60)
        found = json.loads(kept)["result"]
        return found if isinstance(found, list) else None


def probe_spec(number: int, *, opted_in: bool) -> dict[str, Any]:
    """Return a spec of `number` jobs that no policy admits, so that they cost nothing whatever happens."""
    name = f"probe-{uuid.uuid4()}"
    job = {
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
        "jobs": [job | {"jobId": f"{name}-{each}"} for each in range(number)],
        "metadata": {"requiresReview": False, "allowAI": opted_in},
    }
