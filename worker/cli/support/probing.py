"""Sends probe jobs through the real queue to the real workers, and says what became of them."""

import time

from tasks.generate.outcome import OutcomeRecord
from worker.adapters.redis.console.probe import probe_spec, send_probe, wait_for_results
from worker.cli.support.operator_session import OperatorSession

# A result is there before its outcome is in the history, which workers write every 0.2 s.
_HISTORY_SECONDS = 2.0
_BLOCK_SECONDS = 0.25


def probe(
    session: OperatorSession, number: int, *, opted_in: bool, timeout_seconds: float
) -> list[OutcomeRecord]:
    """Send `number` jobs that no policy admits; return those that ended in time.

    Each is a message of its own, so that every free worker may get some.

    Raises:
        StoreUnavailable: Redis did not answer.

    """
    began_wall_ms = session.history.now_ms()
    client, namespace = session.client, session.settings.namespace
    deadline_mono = time.monotonic() + timeout_seconds
    task_ids = {send_probe(client, namespace, probe_spec(opted_in=opted_in)) for _ in range(number)}
    for each in task_ids:
        wait_for_results(client, each, deadline_mono - time.monotonic())
    return _ended(session, began_wall_ms, task_ids)


def _ended(session: OperatorSession, since_wall_ms: int, task_ids: set[str]) -> list[OutcomeRecord]:
    """Return the outcomes of `task_ids`, once all are in the history or the time is up."""
    ended: list[OutcomeRecord] = []
    last = f"{since_wall_ms}-0"
    deadline_mono = time.monotonic() + _HISTORY_SECONDS
    while len(ended) < len(task_ids) and time.monotonic() < deadline_mono:
        outcomes = session.history.follow(last, _BLOCK_SECONDS)
        last = outcomes[-1].entry_id if outcomes else last
        ended += [each for each in outcomes if each.task_id in task_ids]
    return ended
