"""Outcomes in the history of a Redis, as workers leave them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import redis

from tasks.generate.outcome import OutcomeRecord
from worker.adapters.redis.jobs.history import OutcomeEntries
from worker.adapters.redis.keys import HISTORY


def keep(client: redis.Redis, namespace: str, *outcomes: OutcomeRecord) -> None:
    """Write `outcomes` in their order, as of now."""
    _keep(client, namespace, (("*", each) for each in outcomes))


def keep_at(client: redis.Redis, namespace: str, outcomes: Mapping[int, OutcomeRecord]) -> None:
    """Write each as of its key, in milliseconds by Redis's clock, the oldest first."""
    _keep(client, namespace, ((f"{wall_ms}-0", each) for wall_ms, each in outcomes.items()))


def _keep(client: redis.Redis, namespace: str, outcomes: Iterable[tuple[str, OutcomeRecord]]) -> None:
    entries = OutcomeEntries()
    with client.pipeline() as writing:
        for entry_id, each in outcomes:
            entries.add(each)
            for entry in entries.of(each.task_id):
                writing.xadd(HISTORY(namespace), {"o": entry}, id=entry_id)
            entries.forget(each.task_id)
        writing.execute()
