"""Looks at the dials whenever one was changed: for the record of raw changes, and for the metrics."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.errors import StoreUnavailable
from telemetry import emit, error_location
from worker.adapters.redis.errors import REDIS_ERRORS

_log = logging.getLogger("slotgen.dials")
# A change may be the brake: while hundreds of calls are being closed, the record can wait.
_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class DialChangeListener:
    """A thread that runs `look` after each `notify`; several notices in a row may be one look."""

    look: Callable[[], object]
    sleep: Callable[[float], None] = time.sleep
    _noticed: threading.Event = field(default_factory=threading.Event)
    _stopped: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Look once, then after each notice, until `stop`."""
        self._noticed.set()
        self._thread = threading.Thread(target=self._run, name="dial-notices", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Ask for a look, from any thread; returns at once."""
        self._noticed.set()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._noticed.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._noticed.wait()
            self.sleep(_PAUSE_SECONDS)
            self._noticed.clear()
            if not self._stopped:
                self._look()

    def _look(self) -> None:
        try:
            self.look()
        except (StoreUnavailable, *REDIS_ERRORS):
            return  # the next change, or the next command, looks again
        except Exception as error:  # noqa: BLE001 - a record that is not kept must not end the worker
            emit(_log, logging.ERROR, "dial_notice_broke", **error_location(error))
