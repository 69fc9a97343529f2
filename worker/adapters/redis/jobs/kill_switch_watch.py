"""Follows the kill dial on a connection of its own, and tells the process's brake what it sees.

Redis reports every change of a dial by anyone (`CLIENT TRACKING … BCAST`: SET, DEL, FLUSHALL, expiry,
eviction) in under a millisecond; a slow poll on the same connection proves that it still lives. Messages that
halt come on it as well.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any, Protocol

from redis.connection import Connection
from redis.exceptions import ResponseError

from gates import BrakeState, Ceilings, kill_switch
from tasks.errors import ErrorCode
from telemetry import emit
from worker.adapters.redis.clients import open_connection
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.adapters.redis.keys import KILL, KILL_MESSAGES

_log = logging.getLogger("slotgen.worker")
_POLL_SECONDS = 0.25
# A server without tracking is asked this often instead: slow enough for Redis, fast enough for a brake.
_POLL_UNTRACKED_SECONDS = 0.05


class KillSwitchListener(Protocol):
    """What the watch reports to; must be safe to call from the watch's thread."""

    def released(self, confirmed_mono: float) -> None:
        """Take note that the dial was off at `confirmed_mono`."""

    def engaged(self, reason: ErrorCode, seen_mono: float, *, reported: bool) -> None:
        """Take note that the dial is on, or its key gone; the change was seen at `seen_mono`.

        `reported`: Redis has just reported a change of a dial; otherwise this is one more look at it.
        """

    def dials_changed(self) -> None:
        """Take note that Redis has reported a change of a dial."""


@dataclass(slots=True)
class KillSwitchWatch:
    """Watches `<namespace>:kill`, look after look, in one thread. It reports no loss of Redis: that is what
    the brake's own grace period is for.

    A message closes `latch`, a change of the key opens it. `poll_seconds` is how long a look waits for a
    report of a change before the next one asks by itself.
    """

    url: str
    namespace: str
    ceilings: Ceilings
    timeout_seconds: float
    listener: KillSwitchListener
    latch: HaltLatch
    poll_seconds: float = _POLL_SECONDS
    _connection: Connection | None = None
    _wait_seconds: float = _POLL_SECONDS
    _seen_mono: float = 0.0
    _reported: bool = False

    def look(self) -> None:
        """Report what the dial is, then wait for a change of it.

        Raises RedisError or OSError when Redis is lost; the next look opens a new connection.
        """
        try:
            connection = self._connection or self._open()
            self._report(connection)
            self._reported = False
            waiting = connection.can_read(timeout=self._wait_seconds)
            self._seen_mono = time.monotonic()
            if waiting:
                connection.read_response(push_request=True)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.disconnect()
        self._connection, self._reported = None, False

    def _open(self) -> Connection:
        self._connection = open_connection(self.url, self.timeout_seconds, protocol=3)
        try:
            self._connection.connect()
            tracked = self._track(self._connection) and self._subscribe(self._connection)
        except ResponseError:
            # A server, or a proxy before it, that has no HELLO: it can still be asked.
            self._connection = open_connection(self.url, self.timeout_seconds, protocol=2)
            self._connection.connect()
            tracked = False
        self._wait_seconds = self.poll_seconds if tracked else _POLL_UNTRACKED_SECONDS
        self._seen_mono = time.monotonic()
        return self._connection

    def _track(self, connection: Connection) -> bool:
        prefixes = [word for key in DIAL_KEYS.values() for word in ("PREFIX", key(self.namespace))]
        try:
            connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
            connection.read_response()
        except ResponseError:
            return False
        return True

    def _subscribe(self, connection: Connection) -> bool:
        """Hear messages that halt, on the connection that reports the change which ends such a halt."""
        parser: Any = connection._parser  # noqa: SLF001 - as redis-py's own PubSub and cache do
        parser.set_invalidation_push_handler(self._changed)
        parser.set_pubsub_push_handler(self._heard)
        connection.send_command("SUBSCRIBE", KILL_MESSAGES(self.namespace, connection.db))
        # Its answer is a push like any other, unless Redis forbids it.
        try:
            connection.read_response(push_request=True)
        except ResponseError:
            emit(_log, logging.ERROR, "kill_messages_forbidden")
        return True

    def _changed(self, push: list[Any]) -> None:
        """Take in a report of Redis; the keys that were changed are None when all are gone."""
        self._reported = True
        if push[1] is None or KILL(self.namespace).encode() in push[1]:
            self.latch.halted = False

    def _heard(self, push: list[Any]) -> None:
        """Halt by a message at once, whatever else Redis has to say; `false` is no halt, and no release."""
        if push[0] != b"message" or kill_switch.parse(push[2]) is BrakeState.RELEASED:
            return
        again, self.latch.halted = self.latch.halted, True
        self.listener.engaged(ErrorCode.KILL_SWITCH, time.monotonic(), reported=True)
        self.listener.dials_changed()
        if not again:
            emit(_log, logging.WARNING, "halted_by_message")

    def _report(self, connection: Connection) -> None:
        asked_mono = time.monotonic()
        kill = self.latch.over(self._ask(connection))
        state = kill_switch.DIAL.read(kill, self.ceilings.of(kill_switch.GATE)).value
        if state is BrakeState.RELEASED:
            self.listener.released(asked_mono)
        else:
            engaged = state is BrakeState.ENGAGED
            reason = ErrorCode.KILL_SWITCH if engaged else ErrorCode.KILL_UNVERIFIED
            self.listener.engaged(reason, self._seen_mono, reported=self._reported)
        if self._reported:
            self.listener.dials_changed()

    def _ask(self, connection: Connection) -> bytes | None:
        # MGET, not GET: a key of another type reads as absent, like everywhere else.
        connection.send_command("MGET", KILL(self.namespace))
        # What Redis sends unasked just before the answer reads as None, and has been taken in. Without
        # `push_request` redis-py would skip it, and the halt would go unconfirmed.
        while (answer := connection.read_response(push_request=True)) is None:
            continue
        value: bytes | None = answer[0]
        return value
