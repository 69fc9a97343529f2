"""Lets a worker come as far as a gap between two steps of its job, and there be killed, frozen, or bereft."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.rig.fleet import Fleet
from worker.dev.stack import WorkerProcess

GAPS = (
    "take|decide",
    "decide|claim",
    "claim|depart",
    "depart|request",
    "request|arrive",
    "arrive|finish",
    "finish|end",
)
# Who is cut off there has asked the model, or may do so any moment: what it has done is not known to anybody.
IN_FLIGHT = ("depart|request", "request|arrive")
_STOPS = Path(__file__).parent / "stops"
ITSELF = 0


@dataclass(frozen=True)
class StoppingWorker:
    """A worker that has one job at a time, and is told by a file where it stops."""

    worker: WorkerProcess
    file: Path

    def stop_at(self, gap: str, how: signal.Signals, pid: int = ITSELF) -> None:
        """Send the process `pid` the signal once, when this worker comes to the gap."""
        written = self.file.with_suffix(".written")
        written.write_text(f"{gap} {how.value} {pid}")
        written.rename(self.file)

    def is_in(self, state: str) -> bool:
        """Whether the process is in this state, as `ps` names them: T for frozen, and "" for gone."""
        try:
            said = Path(f"/proc/{self.worker.pid}/stat").read_text()
        except OSError:
            return not state
        return bool(state) and said.rpartition(")")[2].split()[0] == state


def stopping_workers(hurt: Fleet, number: int, **settings: str) -> Sequence[StoppingWorker]:
    """Start them at the same time."""

    def start(_: int) -> StoppingWorker:
        file = hurt.folder / f"{uuid.uuid4()}.stop"
        return StoppingWorker(
            hurt.start_worker(1, PYTHONPATH=str(_STOPS), STOP_FILE=str(file), **settings), file
        )

    with ThreadPoolExecutor(number) as starting:
        return list(starting.map(start, range(number)))
