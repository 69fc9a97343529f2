"""Passes what the watch's thread has seen to the brake, on its loop, and confirms a halt to the fleet."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.errors import ErrorCode, StoreUnavailable
from tasks.limits.brake import Brake
from tasks.operations.fleet import Confirmation
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.console.fleet import encode
from worker.adapters.redis.keys import HALTS


@dataclass(frozen=True, slots=True)
class BrakeBridge:
    """The listener of one process's watch. `dials_changed`, called in any thread, must not block."""

    loop: asyncio.AbstractEventLoop
    brake: Brake
    stores: RedisBatches
    namespace: str
    worker_id: str
    dials_changed: Callable[[], None]
    # asyncio holds its tasks weakly: one without a reference may end unfinished.
    _confirming: set[asyncio.Task[None]] = field(default_factory=set)

    def released(self, confirmed_mono: float) -> None:
        """Let requests leave."""
        self.loop.call_soon_threadsafe(self._release, confirmed_mono)

    def engaged(self, reason: ErrorCode, seen_mono: float, *, reported: bool) -> None:
        """Halt; a change that Redis reported is confirmed to whoever made it, once no call is left."""
        self.loop.call_soon_threadsafe(self._engage, reason, seen_mono, reported)
        # A turn of a busy loop takes long, and it deals with the broken connections only after cancelling.
        self.brake.abort_connections()

    def _release(self, confirmed_mono: float) -> None:
        before = self.brake.reason
        self.brake.release(confirmed_mono)
        if self.brake.reason is not before:
            # The dial may have been read on its change before the brake took it in.
            self.dials_changed()

    def _engage(self, reason: ErrorCode, seen_mono: float, reported: bool) -> None:  # noqa: FBT001 - call_soon takes no keywords
        calls = self.brake.engage(reason, seen_mono)
        if reported or calls:
            confirming = self.loop.create_task(self._confirm(calls, seen_mono))
            self._confirming.add(confirming)
            confirming.add_done_callback(self._confirming.discard)

    async def _confirm(self, calls: int, seen_mono: float) -> None:
        await self.brake.drained()
        said = Confirmation(self.worker_id, calls, (self.loop.time() - seen_mono) * 1000)
        # Whoever asked sees that this worker's confirmation is missing; the halt itself needs no listener.
        with contextlib.suppress(StoreUnavailable):
            await self.stores.command("PUBLISH", HALTS(self.namespace), encode(said))
