"""The halt button: halts at once, keeps trying where Redis lets it not, and remembers how it went."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import redis

from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import Engaged
from telemetry import emit
from worker.adapters.redis.console.kill_switch_lever import pull
from worker.halt.fleet_halt import Halt, halt_fleet, set_the_key
from worker.web.allowance import Allowance

_log = logging.getLogger("slotgen.web")
_TRY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Press:
    """One press of the button, by `actor`: under way until there is a `halt`, or a `problem`.

    `set_late`: the key could not be set then, and is now.
    """

    actor: str
    pressed_mono: float
    halt: Halt | None = None
    problem: str = ""
    set_late: bool = False

    @property
    def seconds(self) -> float:
        """How long ago it was."""
        return time.monotonic() - self.pressed_mono

    @property
    def key_set(self) -> bool:
        """Whether the key says that the fleet is halted."""
        return self.set_late or (self.halt is not None and self.halt.engaged.key_set)


@dataclass(slots=True)
class HaltButton:
    """Halts the fleet of a namespace; commands of the client `listening` end sooner than those of `client`.

    `press` blocks for seconds, and up to ten minutes where it keeps trying: call it in a thread. `last` is
    the last press.
    """

    client: redis.Redis
    listening: redis.Redis
    namespace: str
    last: Press | None = None
    # Of a flood of presses a few are recorded; every one halts.
    _records: Allowance = field(default_factory=Allowance)
    _trying: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)

    @property
    def trying(self) -> bool:
        """Whether it goes on trying to set the key."""
        return self._trying.locked()

    def press(self, actor: str, reason: str, tried: Callable[[], object]) -> None:
        """Halt, call `tried`, and go on trying where the key is not set; one press does so for all."""
        engage = partial(pull, self.client, self.namespace, actor=actor, command="slotgen web", reason=reason)
        recorded = self._records.take() is not None
        pressed = self.last = Press(actor, time.monotonic())
        try:
            self.last = self._first(pressed, partial(engage, record=recorded))
            goes_on = not self.last.key_set and self._trying.acquire(blocking=False)
        finally:
            tried()
        if not goes_on:
            return
        try:
            again = partial(halt_fleet, self.listening, self.namespace, engage)
            if set_the_key(again, _TRY_SECONDS, self._closed.wait):
                self.last = replace(self.last, set_late=True)
        finally:
            self._trying.release()

    def close(self) -> None:
        """Stop trying."""
        self._closed.set()

    def _first(self, press: Press, engage: Callable[[], Engaged]) -> Press:
        try:
            done = halt_fleet(self.listening, self.namespace, engage)
        except StoreUnavailable as error:
            emit(_log, logging.ERROR, "web_halt_failed")
            return replace(press, problem=str(error))
        emit(_log, logging.WARNING, "web_halted", by=done.engaged.by)
        return replace(press, halt=done)
