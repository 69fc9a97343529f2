"""Tracks every call in flight in one process, and cancels them all unless the brake is confirmed off."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasks.errors import ErrorCode, Stubbed

T = TypeVar("T")


@dataclass(slots=True)
class Brake:
    """The brake of one event loop; every method must be called on that loop.

    Every `…_mono` is a time of that loop's clock, which on asyncio's own loops is `time.monotonic()`: other
    threads hand in theirs.

    It starts on: nothing may be in flight until the dial has been read as off. A confirmation holds for
    `grace_seconds`; after that the brake engages itself with KILL_UNVERIFIED (dead man's brake). `on_halt`
    gets the number of calls cancelled and, once the last has closed, the seconds it took; another thread that
    sees the kill switch on may call `abort_connections` first.
    """

    grace_seconds: float
    on_halt: Callable[[int, float], None]
    abort_connections: Callable[[], None] = lambda: None
    _reason: ErrorCode | None = ErrorCode.KILL_UNVERIFIED
    _engaged_mono: float = float("-inf")
    _confirmed_mono: float = float("-inf")
    _expiry: asyncio.TimerHandle | None = None
    _calls: set[asyncio.Task[Any]] = field(default_factory=set)
    _halting: dict[asyncio.Task[Any], ErrorCode] = field(default_factory=dict)
    _halt_began_mono: float = 0.0
    _halted: int = 0
    _drained: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._drained.set()

    @property
    def in_flight(self) -> int:
        """How many calls it tracks, including those being cancelled."""
        return len(self._calls)

    async def drained(self) -> None:
        """Return once every call that was cancelled has closed."""
        await self._drained.wait()

    @property
    def reason(self) -> ErrorCode | None:
        """Why nothing may be in flight, or None when the brake is confirmed off."""
        return self._reason

    def release(self, asked_mono: float) -> None:
        """Let requests leave: a read of the dial that was asked for at `asked_mono` found it off.

        A read that began before the brake was last seen on, or before the latest confirmation, changes
        nothing.
        """
        if asked_mono <= max(self._engaged_mono, self._confirmed_mono):
            return
        self._confirmed_mono = asked_mono
        self._forget_confirmation()
        self._reason = None
        self._expiry = asyncio.get_running_loop().call_at(asked_mono + self.grace_seconds, self._expire)

    def engage(self, reason: ErrorCode, seen_mono: float | None = None) -> int:
        """Cancel every call in flight and refuse new ones, with `reason` as their errorCode; return how many.

        `seen_mono` is the time at which the change was seen, for the halt's measurement.
        """
        self._engaged_mono = asyncio.get_running_loop().time()
        return self._halt(reason, self._engaged_mono if seen_mono is None else seen_mono)

    def _expire(self) -> None:
        # The kill switch itself was not seen on, so the next read that finds it off may release the brake,
        # however old.
        self._halt(ErrorCode.KILL_UNVERIFIED, asyncio.get_running_loop().time())

    def _halt(self, reason: ErrorCode, seen_mono: float) -> int:
        self._forget_confirmation()
        self._reason = reason
        active = self._calls - self._halting.keys()
        if not active:
            return 0
        self._halt_began_mono = seen_mono
        self._drained.clear()
        self._halted += len(active)
        # The loop takes about 100 ms to unwind 500 cancelled calls; their sockets are closed first.
        try:
            self.abort_connections()
        finally:
            for call_task in active:
                self._halting[call_task] = reason
                call_task.cancel()
        return len(active)

    def _forget_confirmation(self) -> None:
        if self._expiry:
            self._expiry.cancel()

    def check_before_request(self, asked_mono: float) -> None:
        """Let one request leave after a read, asked for at `asked_mono`, that found the dial off.

        Raises:
            Stubbed: the brake was seen on since that read was asked for.

        """
        self.release(asked_mono)
        if self._reason is not None:
            raise Stubbed(self._reason, "the brake came on a moment ago")

    async def run_cancellable(self, call: Coroutine[Any, Any, T]) -> T:
        """Run `call` under the brake; it must ask `check_before_request` before each request.

        Once `call` has ended, a cancellation comes too late: its result is returned.

        Raises:
            Stubbed: the brake came on before `call` had ended.

        """
        call_task = asyncio.get_running_loop().create_task(call)
        self._calls.add(call_task)
        try:
            return await call_task
        except asyncio.CancelledError:
            if call_task.done() and not call_task.cancelled():
                return call_task.result()
            reason = self._halting.get(call_task)
            if reason is None or not call_task.cancelled():
                raise
            raise Stubbed(reason, "the brake came on while the call was in flight") from None
        finally:
            self._deregister(call_task)

    def _deregister(self, call_task: asyncio.Task[Any]) -> None:
        self._calls.discard(call_task)
        if self._halting.pop(call_task, None) is not None and not self._halting:
            self._drained.set()
            self.on_halt(self._halted, asyncio.get_running_loop().time() - self._halt_began_mono)
            self._halted = 0
