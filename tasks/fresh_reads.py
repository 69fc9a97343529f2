"""Reads the dials for all who ask at the same moment, each read in its own right and none begun too early."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gates import Controls
from tasks.batching import Batching
from tasks.ports import ControlSource

# 200 reads take Redis about 2 ms: far from the deadline of a read, though hundreds of jobs begin at once.
_MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class FreshRead:
    """The dials, and the monotonic time at which they were asked for."""

    controls: Controls
    asked_mono: float


@dataclass(slots=True)
class FreshReads:
    """Each asker gets a read of its own that began after it asked; many share one round trip.

    Lives on one event loop. The round trip blocks a thread, whose clock knows nothing of a loop that is busy:
    a healthy Redis must not look slow because hundreds of jobs begin. The thread is its own: whatever else
    blocks must not hold up the brake.
    """

    controls: ControlSource
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "dial-reader"))
    _reads: Batching[None, FreshRead] = field(init=False)

    def __post_init__(self) -> None:
        self._reads = Batching(self._read_for_all, _MOST_AT_ONCE)

    def read(self) -> asyncio.Future[FreshRead]:
        """Return what will have the dials as they were at some moment from now on."""
        return self._reads.ask(None)

    async def _read_for_all(self, asks: list[None]) -> Sequence[FreshRead]:
        asked_mono = time.monotonic()
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, self.controls.read_each, len(asks))
        return [FreshRead(each, asked_mono) for each in found]
