"""Fills a fleet with calls in flight, and measures how long it takes until the last of them is closed."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.fakes.openai.server import Behaviour, Counts
from tests.faults.rig.fleet import Fleet
from tests.waiting import eventually

# Far above every grace period and bound, but below a request's own timeout: nothing ends by itself.
CALL_SECONDS = 50
# From the change of the dial to the last connection closed, as the contract has it.
PROMISED_MS = 100


def fill(hurt: Fleet, number: int) -> list[str]:
    """Return the task ids once `number` calls are in flight.

    On a busy machine a dial is now and then read too late, and its job is a STUB: another one takes its
    place, so that there may be more ids than calls.
    """
    hurt.fake_openai.behave(Behaviour(delay_seconds=CALL_SECONDS))
    task_ids = hurt.send(number)

    def filled() -> bool:
        if hurt.fake_openai.journal.counts().in_flight >= number:
            return True
        answered = {each["details"]["task_id"] for each in hurt.lines.outcomes} & set(task_ids)
        task_ids.extend(hurt.send(number - (len(task_ids) - len(answered))))
        return False

    eventually(filled, saying=f"{number} calls were never in flight at once")
    return task_ids


def closed_after_ms(hurt: Fleet, act: Callable[[], object]) -> float:
    """Do `act`, and return the milliseconds from before it until the last connection was closed."""

    def closed() -> Counts | None:
        counts = hurt.fake_openai.journal.counts()
        return None if counts.in_flight else counts

    began_mono = time.monotonic()
    act()
    # Looked for and not awaited: a waiter that wakes at every closed connection would slow what it measures.
    counts = eventually(closed, saying="calls are still in flight")
    assert counts.last_connection_closed_mono is not None
    return (counts.last_connection_closed_mono - began_mono) * 1000
