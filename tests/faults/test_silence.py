"""A worker that was stopped, and what is said of it: nothing that is not known."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tasks.operations.timefmt import counted
from tests.faults.rig.fleet import LOST_SECONDS, Fleet, fleet
from tests.faults.rig.halting import fill
from tests.faults.test_halt_without_writes import slotgen
from tests.waiting import eventually


def silent_beyond_lost(hurt: Fleet) -> list[dict[str, Any]] | None:
    """Return the workers of `status` once one is silent for so long that the others took its messages."""
    workers = json.loads(slotgen(hurt.server.url, "status", "--json")[1])["workers"]
    return workers if (workers[0]["silentSeconds"] or 0) > LOST_SECONDS + 1 else None


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_worker_is_silent_and_confirms_nothing(workers):
    with fleet(persistent=False) as hurt:
        stopped, *others = hurt.start_workers(workers)
        fill(hurt, 10)
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            silent, *living = eventually(
                lambda: silent_beyond_lost(hurt), within_seconds=60, saying="it is not shown as silent"
            )
            assert (silent["pid"], silent["brake"], silent["inFlight"]) == (stopped.pid, "unknown", None)
            assert [each["pid"] for each in living] == [each.pid for each in others]

            code, text = slotgen(hurt.server.url, "kill")

            assert code == 1
            assert f"/{stopped.pid}: silent since" in text.splitlines()[1]
            assert f"{counted(len(others), 'worker', of=workers)} confirmed" in text
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        # Once it goes on it sees what it has missed.
        eventually(lambda: hurt.fake_openai.journal.counts().in_flight == 0)
        eventually(lambda: slotgen(hurt.server.url, "kill")[0] == 0, within_seconds=60)
