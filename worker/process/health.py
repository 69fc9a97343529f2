"""Says whether this process works (alive) and whether it should get jobs (ready)."""

import asyncio
from dataclasses import dataclass

from tasks.ports import ControlSource
from telemetry import Health
from worker.adapters.celery.job_loop import JobLoop
from worker.adapters.celery.refusals import Refusals
from worker.process.background import Background

_LOOP_SECONDS = 5.0


@dataclass(slots=True)
class WorkerHealth:
    """`consuming` is set by the worker's lifecycle, `background` once its threads have started."""

    loop: JobLoop
    controls: ControlSource
    refusals: Refusals
    consuming: bool = False
    background: tuple[Background, ...] = ()

    def alive(self) -> Health:
        """Whether a restart could help: a dead loop or thread asks for one. Redis is not asked."""
        threads = {each.name: each.is_alive() for each in self.background}
        return Health({"job_loop": self._loop_answers()} | threads)

    def ready(self) -> Health:
        """Whether this worker consumes, and can read its dials."""
        # An absent kill key is a halted fleet, but a readable one: only a silent store has a note.
        return Health(
            {
                "consuming": self.consuming and self.refusals.cause is None,
                "controls": not self.controls.read().note,
            }
        )

    def _loop_answers(self) -> bool:
        try:
            pending = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop.loop)
            pending.result(_LOOP_SECONDS)
        except (TimeoutError, RuntimeError):
            return False
        return True
