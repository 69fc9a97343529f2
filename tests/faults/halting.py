"""Fills a fleet with calls in flight, and measures how long it takes until the last of them is closed."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.fleet import Fleet
from tests.faults.length import in_full
from worker.dev.openai_stand_in import Behaviour

# Far above every grace period and bound, but below a request's own timeout: nothing ends by itself.
CALL_SECONDS = 50
_FILL_SECONDS = 30
# A worker is busy for a moment with the hundreds of jobs it has just begun; bounds in milliseconds are for
# calls that are simply in flight.
_SETTLE_SECONDS = in_full(1, short=0)
_QUIET_SECONDS = 0.5


def fill(hurt: Fleet, number: int) -> list[str]:
    """Return the task ids once `number` calls are in flight.

    On a busy machine a dial is now and then read too late, and its job is a STUB: another one takes its
    place, so that there may be more ids than calls.
    """
    hurt.stand_in.behave(Behaviour(delay_seconds=CALL_SECONDS))
    answered = len(hurt.codes())
    task_ids = hurt.send(number)
    deadline = time.monotonic() + _FILL_SECONDS
    while (in_flight := hurt.stand_in.journal.counts().in_flight) < number:
        assert time.monotonic() < deadline, f"{in_flight} of {number} calls in flight"
        task_ids += hurt.send(number + len(hurt.codes()) - answered - len(task_ids))
        time.sleep(0.05)  # a waiter that wakes at every call would slow the stand-in
    time.sleep(_SETTLE_SECONDS)
    return task_ids


def closed_after_ms(hurt: Fleet, act: Callable[[], object], timeout: float = 20) -> float:
    """Do `act`, and return the milliseconds from before it until the last connection was closed."""
    began = time.monotonic()
    act()
    time.sleep(_QUIET_SECONDS)  # a waiter that wakes at every closed connection would slow what it measures
    counts = hurt.stand_in.journal.wait_until(lambda counts: counts.in_flight == 0, timeout)
    assert counts.last_connection_closed_mono is not None
    return (counts.last_connection_closed_mono - began) * 1000
