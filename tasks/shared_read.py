"""Reads the dials for all the calls that are about to start a request at the same moment."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from gates import Controls
from tasks.ports import ControlSource


@dataclass(slots=True)
class SharedRead:
    """Each asker gets a read that began after it asked; those who ask while one is under way share the next.

    With hundreds of calls starting at once, a read for each starves all of them of the interpreter, and a
    healthy Redis looks slow. Lives on one event loop; the read itself blocks a thread.
    """

    controls: ControlSource
    _current: asyncio.Task[tuple[Controls, float]] | None = None
    _next: asyncio.Task[tuple[Controls, float]] | None = field(default=None)

    async def read(self) -> tuple[Controls, float]:
        """Return the dials, and the monotonic time at which they were asked for."""
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._current))
        # One asker's cancellation must not take the read from the others.
        return await asyncio.shield(self._next)

    async def _read_after(
        self, previous: asyncio.Task[tuple[Controls, float]] | None
    ) -> tuple[Controls, float]:
        if previous is not None:
            await asyncio.wait({previous})
        # Whoever asks from here on came too late for this read.
        self._current, self._next = self._next, None
        asked_mono = time.monotonic()
        return await asyncio.to_thread(self.controls.read), asked_mono
