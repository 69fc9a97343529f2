"""Runs the background work, each kind in its own thread, which only `stop` ends."""

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.errors import StoreUnavailable
from telemetry import emit, error_location
from worker.adapters.redis.errors import REDIS_ERRORS

_log = logging.getLogger("slotgen.background")
_AWAY = (StoreUnavailable, *REDIS_ERRORS)
# After the first of several errors in a row; each further one makes the pause longer.
_RETRY_SECONDS = 0.25
_LONGEST_RETRY_SECONDS = 4.0


@dataclass(slots=True)
class Background:
    """A daemon thread called `name` that calls `step` at once, every `every_seconds`, and after `wake`.

    If `every_seconds` is None, only `wake` makes it work again. It waits `settle_seconds` before each step,
    so that several wake-ups in a row are one. If Redis is away, the step is repeated after `away_seconds`,
    silently; after any other error, which is logged once with its place, within 4 s, until a step succeeds.
    `finish` is called in the thread at its end, which `stop` awaits for at most `stop_seconds`.
    """

    name: str
    step: Callable[[], object]
    every_seconds: float | None
    settle_seconds: float = 0.0
    away_seconds: float = 0.25
    finish: Callable[[], object] = lambda: None
    stop_seconds: float | None = None
    sleep: Callable[[float], object] = field(init=False)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _woken: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)
    _failures: int = 0

    def __post_init__(self) -> None:
        self.sleep = self._stopped.wait
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self) -> None:
        """Ask for a step, from any thread; returns at once."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread, and return once it has finished or has had its time.

        If it was never started, this does nothing.
        """
        self._stopped.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(self.stop_seconds)

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self.settle_seconds:
                self.sleep(self.settle_seconds)
            self._woken.clear()
            if self._stopped.is_set():
                break
            self._work()
        with contextlib.suppress(*_AWAY):
            self.finish()

    def _work(self) -> None:
        try:
            self.step()
        except _AWAY:
            self.sleep(self.away_seconds)
        except Exception as error:  # noqa: BLE001 - whatever it was, the work must go on
            if self._failures == 0:
                emit(_log, logging.ERROR, "background_broke", name=self.name, **error_location(error))
            self.sleep(min(_RETRY_SECONDS * 2**self._failures, _LONGEST_RETRY_SECONDS))
            self._failures += 1
        else:
            self._failures = 0
            self._woken.wait(self.every_seconds)
