"""Says whether this process works (alive) and whether it should get jobs (ready)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tasks.ports import ControlSource
from telemetry import Health
from worker.adapters.celery.job_loop import JobLoop
from worker.adapters.celery.refusals import Refusals

_LOOP_SECONDS = 5.0


@dataclass(slots=True)
class WorkerHealth:
    """`consuming` is set by the worker's lifecycle, `threads` once they have started.

    They are the background threads by name, each with whether it runs.
    """

    loop: JobLoop
    controls: ControlSource
    refusals: Refusals
    consuming: bool = False
    threads: Mapping[str, Callable[[], bool]] = field(default_factory=dict)

    def alive(self) -> Health:
        """Return whether the loop and every thread work: if not, a restart could help. Redis is not asked."""
        threads = {name: is_alive() for name, is_alive in self.threads.items()}
        return Health({"job_loop": self._loop_answers()} | threads)

    def ready(self) -> Health:
        """Whether this worker consumes, and can read its dials."""
        # An absent kill key halts the fleet, but was readable: only a store that did not answer leaves a
        # note.
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
