"""Clocks that are stepped: minutes of waiting take a moment, and a scenario always goes the same way."""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
# Only what is broken is waited for that long.
_WAIT_SECONDS = 10


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run `scenario` as asyncio.run does, on a SteppedLoop."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(scenario)


async def idle() -> None:
    """Return once everything else on the loop waits, for a timer at the soonest; no time passes."""
    loop = _stepped()
    asked = loop.create_future()
    loop.until_idle.append(asked)
    await asked


def advance(seconds: float) -> None:
    """Let time pass while nothing runs, as on a loop that is held up; the timers due come next."""
    _stepped().now_mono += seconds


def now_mono() -> float:
    """Return the time of the running loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


def _stepped() -> SteppedLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    return loop


@dataclass
class SteppedSleep:
    """Stands for `time.sleep` in a thread: a sleep lasts until the test ends it. `asked` has the seconds."""

    asked: list[float] = field(default_factory=list)
    _ended: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, seconds: float) -> None:
        with self._changed:
            self.asked.append(seconds)
            number = len(self.asked)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._ended >= number, _WAIT_SECONDS), (
                "nobody ended the sleep"
            )

    def begun(self, number: int = 1) -> None:
        """Return once the thread is in its sleep of that number, counted from 1."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= number, _WAIT_SECONDS), "it never slept"

    def end(self, number: int = 1) -> None:
        """Let the sleep of that number end, once it has begun."""
        self.begun(number)
        with self._changed:
            self._ended = number
            self._changed.notify_all()

    def end_all(self) -> None:
        """Let all sleeps end, those to come as well."""
        with self._changed:
            self._ended = sys.maxsize
            self._changed.notify_all()


@dataclass
class SteppedTime:
    """A clock for code that waits by sleeping: its sleep takes no time, and moves the clock."""

    now_mono: float = 0.0

    def mono(self) -> float:
        return self.now_mono

    def sleep(self, seconds: float) -> None:
        self.now_mono += seconds


class SteppedLoop(asyncio.SelectorEventLoop):
    """A loop whose time begins at 0, and steps to the next timer as soon as nothing else can happen.

    It stands still while anything runs: on the loop, or in a thread that `asyncio.to_thread` or
    `run_in_executor` was asked for. With a socket open only `advance` moves it, since the other end takes
    real time. Where nothing is left that could ever happen, the scenario fails instead of hanging.
    """

    def __init__(self) -> None:
        self.now_mono = 0.0
        self.until_idle: list[asyncio.Future[None]] = []
        self._threads_at_work = 0
        super().__init__(_Steps(self))

    def time(self) -> float:
        return self.now_mono

    @property
    def outside_at_work(self) -> bool:
        """Whether a thread or a socket may wake it; the loop's own pipe is always there."""
        return self._threads_at_work > 0 or len(self._selector.get_map()) > 1

    def run_in_executor(self, *call: Any) -> asyncio.Future[Any]:
        ended = super().run_in_executor(*call)
        self._threads_at_work += 1
        ended.add_done_callback(self._thread_ended)
        return ended

    async def shutdown_default_executor(self, *timeout: float) -> None:
        # It joins the threads in one more, and on Python 3.12 sets itself a timer.
        self._threads_at_work += 1
        await super().shutdown_default_executor(*timeout)
        self._threads_at_work -= 1

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._threads_at_work -= 1


class _Steps(selectors.DefaultSelector):
    """Finds what is ready; when nothing is, moves the time instead of waiting."""

    def __init__(self, loop: SteppedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.outside_at_work:
            return super().select(0 if timeout == 0 else None)
        found = super().select(0)
        if not found and timeout != 0:
            self._step(timeout)
        return found

    def _step(self, seconds: float | None) -> None:
        waiting, self._loop.until_idle = self._loop.until_idle, []
        if waiting:
            for asked in waiting:
                if not asked.done():
                    asked.set_result(None)
        elif seconds is None:
            raise RuntimeError("everything waits for something that will never happen")
        else:
            self._loop.now_mono += seconds
