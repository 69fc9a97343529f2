"""Holds every call in flight of one process, and cancels them all when the brake is not confirmed off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasks.errors import ErrorCode, Stubbed

T = TypeVar("T")


@dataclass(slots=True)
class Brake:
    """The brake of one event loop; every method must be called on that loop.

    It starts on: until the watcher has confirmed the dial once, nothing may be in flight. A confirmation
    holds for `grace_seconds`, then the brake engages itself with KILL_UNVERIFIED (dead man's brake).
    `on_halt` gets the number of calls cancelled and, once the last has closed, the seconds that took.
    """

    grace_seconds: float
    on_halt: Callable[[int, float], None]
    _reason: ErrorCode | None = ErrorCode.KILL_UNVERIFIED
    _flights: set[asyncio.Task[Any]] = field(default_factory=set)
    _halting: dict[asyncio.Task[Any], ErrorCode] = field(default_factory=dict)
    _halt_began_mono: float = 0.0
    _halted: int = 0
    _expiry: asyncio.TimerHandle | None = None

    @property
    def reason(self) -> ErrorCode | None:
        """Why nothing may be in flight, or None when the brake is confirmed off."""
        return self._reason

    def release(self, confirmed_mono: float) -> None:
        """Let calls take off: at `confirmed_mono` (time.monotonic) the dial was read, and was off."""
        expires_mono = confirmed_mono + self.grace_seconds
        self._forget_confirmation()
        self._reason = None
        # asyncio's loop.time() is time.monotonic(), so the two can be compared.
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_at(expires_mono, self.engage, ErrorCode.KILL_UNVERIFIED)

    def _forget_confirmation(self) -> None:
        if self._expiry:
            self._expiry.cancel()

    def engage(self, reason: ErrorCode, seen_mono: float | None = None) -> None:
        """Cancel every call in flight and refuse new ones, with `reason` as their errorCode.

        `seen_mono` is the monotonic time at which the change was seen, for the halt's measurement.
        """
        self._forget_confirmation()
        self._reason = reason
        flying = self._flights - self._halting.keys()
        if not flying:
            return
        self._halt_began_mono = time.monotonic() if seen_mono is None else seen_mono
        self._halted += len(flying)
        for flight in flying:
            self._halting[flight] = reason
            flight.cancel()

    async def fly(self, call: Coroutine[Any, Any, T]) -> T:
        """Run `call` in reach of the brake.

        Raises:
            Stubbed: the brake is on, or came on before `call` had ended.

        """
        if self._reason is not None:
            call.close()
            raise Stubbed(self._reason, "the brake is not confirmed off")
        flight = asyncio.get_running_loop().create_task(call)
        self._flights.add(flight)
        try:
            return await flight
        except asyncio.CancelledError:
            reason = self._halting.get(flight)
            if reason is None or not flight.cancelled():
                raise
            raise Stubbed(reason, "the brake came on while the call was in flight") from None
        finally:
            self._land(flight)

    def _land(self, flight: asyncio.Task[Any]) -> None:
        self._flights.discard(flight)
        if self._halting.pop(flight, None) is not None and not self._halting:
            self.on_halt(self._halted, time.monotonic() - self._halt_began_mono)
            self._halted = 0
