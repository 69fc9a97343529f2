"""Follows the kill dial on a connection of its own, and tells the process's brake what it sees.

Redis reports every change of a dial by anyone (`CLIENT TRACKING … BCAST`: SET, DEL, FLUSHALL, expiry,
eviction) in under a millisecond; a slow poll on the same connection proves that it still lives.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from redis.connection import Connection
from redis.exceptions import ResponseError

from gates import BrakeState, Ceilings, kill_switch
from tasks.errors import ErrorCode
from telemetry import emit, error_location
from worker.adapters.redis.clients import open_connection
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.keys import KILL

_log = logging.getLogger("slotgen.brake")
_POLL_SECONDS = 0.25
# A server without tracking is asked this often instead: slow enough for Redis, fast enough for a brake.
_POLL_UNTRACKED_SECONDS = 0.05
_RECONNECT_SECONDS = 0.25


class KillSwitchListener(Protocol):
    """What the watcher tells; must be safe to call from the watcher's thread."""

    def released(self, confirmed_mono: float) -> None:
        """Take note that the dial was off at `confirmed_mono`."""
        ...

    def engaged(self, reason: ErrorCode, seen_mono: float, *, reported: bool) -> None:
        """Take note that the dial is on, or its key gone; the change was seen at `seen_mono`.

        `reported`: Redis has just reported a change of a dial; otherwise this is one more look at it.
        """
        ...

    def dials_changed(self) -> None:
        """Take note that Redis has reported a change of a dial."""
        ...


@dataclass(slots=True)
class KillSwitchWatch:
    """A thread that watches `<namespace>:kill` until `stop`. Losing Redis is told to nobody: that is what
    the brake's own grace period is for.

    `poll_seconds` is how long it waits for a report before it asks by itself.
    """

    url: str
    namespace: str
    ceilings: Ceilings
    timeout_seconds: float
    switch: KillSwitchListener
    poll_seconds: float = _POLL_SECONDS
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._run, name="brake-watch", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread and its connection; returns once both are gone."""
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            connection: Connection | None = None
            try:
                connection, tracked = self._open()
                self._follow(connection, self.poll_seconds if tracked else _POLL_UNTRACKED_SECONDS)
            except REDIS_ERRORS:
                self._stopped.wait(_RECONNECT_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever it was, the brake must go on being watched
                emit(_log, logging.ERROR, "brake_watch_broke", **error_location(error))
                self._stopped.wait(_RECONNECT_SECONDS)
            finally:
                if connection is not None:
                    connection.disconnect()

    def _open(self) -> tuple[Connection, bool]:
        """Return an open connection, and whether Redis reports changes on it."""
        try:
            connection = open_connection(self.url, self.timeout_seconds, protocol=3)
            connection.connect()
        except ResponseError:
            # A server, or a proxy before it, that has no HELLO: it can still be asked.
            connection = open_connection(self.url, self.timeout_seconds, protocol=2)
            connection.connect()
            return connection, False
        return connection, self._track(connection)

    def _track(self, connection: Connection) -> bool:
        prefixes = [word for key in DIAL_KEYS.values() for word in ("PREFIX", key(self.namespace))]
        try:
            connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
            connection.read_response()
        except ResponseError:
            return False
        return True

    def _follow(self, connection: Connection, poll_seconds: float) -> None:
        seen_mono, reported = time.monotonic(), False
        while not self._stopped.is_set():
            if self._tell(connection, seen_mono, reported=reported):
                self.switch.dials_changed()
            reported = bool(connection.can_read(timeout=poll_seconds))
            seen_mono = time.monotonic()
            if reported:
                connection.read_response(push_request=True)

    def _tell(self, connection: Connection, seen_mono: float, *, reported: bool) -> bool:
        """Tell the switch what the dial is; return whether a change was reported, until now."""
        asked_mono = time.monotonic()
        kill, reported_meanwhile = self._ask(connection)
        reported = reported or reported_meanwhile
        state = kill_switch.DIAL.read(kill, self.ceilings.of(kill_switch.GATE)).value
        if state is BrakeState.RELEASED:
            self.switch.released(asked_mono)
        elif state is BrakeState.ENGAGED:
            self.switch.engaged(ErrorCode.KILL_SWITCH, seen_mono, reported=reported)
        else:
            self.switch.engaged(ErrorCode.KILL_UNVERIFIED, seen_mono, reported=reported)
        return reported

    def _ask(self, connection: Connection) -> tuple[bytes | None, bool]:
        # MGET, not GET: a key of another type reads as absent, like everywhere else.
        connection.send_command("MGET", KILL(self.namespace))
        reported = False
        # A change that is reported just before the answer reads as None. Without `push_request` redis-py
        # would skip it, and nobody would confirm the halt.
        while (answer := connection.read_response(push_request=True)) is None:
            reported = True
        return answer[0], reported
