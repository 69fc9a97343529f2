"""Reads the dials for everyone who asks at the same moment, and never returns a read that began before."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from gates import Controls
from tasks.generate.batching import Batcher
from tasks.ports import ControlSource


@dataclass(frozen=True, slots=True)
class DialRead:
    """The dials, and when they were asked for, by the loop's clock."""

    controls: Controls
    asked_mono: float


@dataclass(slots=True)
class DialReader:
    """Reads the dials, never from before the request: one read for each decision, one shared before requests.

    Lives on one event loop.
    """

    controls: ControlSource
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _exclusive: Batcher[None, DialRead] = field(init=False)
    _shared: Batcher[None, DialRead] = field(init=False)

    def __post_init__(self) -> None:
        self._exclusive = Batcher(self._read_for_each, lambda: self.controls.at_once)
        self._shared = Batcher(self._read_for_all, lambda: sys.maxsize)

    def read_exclusive(self) -> asyncio.Future[DialRead]:
        """Return a future of a read made for this caller alone."""
        return self._exclusive.submit(None)

    def read_shared(self) -> asyncio.Future[DialRead]:
        """Return a future of a read shared by everyone who asks before it begins."""
        return self._shared.submit(None)

    async def _read_for_each(self, requests: list[None]) -> Sequence[DialRead]:
        # The two kinds take turns, since each read has the connection to itself.
        async with self._turn:
            asked_mono = asyncio.get_running_loop().time()
            return [DialRead(each, asked_mono) for each in await self.controls.read_each(len(requests))]

    async def _read_for_all(self, requests: list[None]) -> Sequence[DialRead]:
        return list(await self._read_for_each([None])) * len(requests)
