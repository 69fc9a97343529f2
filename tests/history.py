"""Outcomes in the history of a Redis, as workers leave them there."""

from __future__ import annotations

import redis

from tasks.generate.outcome import OutcomeRecord
from worker.adapters.redis.jobs.history import OutcomeEntries
from worker.adapters.redis.keys import HISTORY


def keep(client: redis.Redis, namespace: str, *outcomes: OutcomeRecord) -> None:
    """Write `outcomes` in their order."""
    entries = OutcomeEntries()
    with client.pipeline() as writing:
        for each in outcomes:
            entries.add(each)
            for entry in entries.of(each.task_id):
                writing.xadd(HISTORY(namespace), {"o": entry})
            entries.forget(each.task_id)
        writing.execute()
