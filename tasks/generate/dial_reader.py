"""Reads the dials for all who ask at the same moment, and for nobody from before he asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gates import Controls
from tasks.generate.batching import Batching
from tasks.ports import ControlSource

# How many may share one look: all who ask.
_EVERYBODY = 1_000_000


@dataclass(frozen=True, slots=True)
class FreshRead:
    """The dials, and the time of the loop's clock at which they were asked for."""

    controls: Controls
    asked_mono: float


@dataclass(slots=True)
class FreshReads:
    """A decision gets a read of its own, a last look may be shared; both began after they were asked for.

    Lives on one event loop. The round trip blocks a thread, whose clock knows nothing of a loop that is busy:
    a healthy Redis must not look slow because hundreds of jobs begin. The thread is its own: whatever else
    blocks must not hold up the brake.
    """

    controls: ControlSource
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "dial-reader"))
    _reads: Batching[None, FreshRead] = field(init=False)
    _looks: Batching[None, FreshRead] = field(init=False)

    def __post_init__(self) -> None:
        self._reads = Batching(self._read_for_each, lambda: self.controls.at_once)
        self._looks = Batching(self._look_for_all, lambda: _EVERYBODY)

    def read(self) -> asyncio.Future[FreshRead]:
        """Return what will have a read for the asker alone."""
        return self._reads.ask(None)

    def look(self) -> asyncio.Future[FreshRead]:
        """Return what will have a read that all share who ask before it begins."""
        return self._looks.ask(None)

    async def _read_for_each(self, asks: list[None]) -> Sequence[FreshRead]:
        loop = asyncio.get_running_loop()
        asked_mono = loop.time()
        found = await loop.run_in_executor(self._thread, self.controls.read_each, len(asks))
        return [FreshRead(each, asked_mono) for each in found]

    async def _look_for_all(self, asks: list[None]) -> Sequence[FreshRead]:
        return list(await self._read_for_each([None])) * len(asks)
