"""Follows the kill dial on a connection of its own, and tells the process's brake what it sees.

Redis reports every change of a dial by anyone (`CLIENT TRACKING … BCAST`: SET, DEL, FLUSHALL, expiry,
eviction) in under a millisecond; a slow poll on the same connection proves that it still lives. Messages that
halt also arrive on it. If Redis, or a proxy before it, does not support tracking, a fast poll takes its
place, and the messages arrive on a second connection.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any, Protocol

from redis.connection import Connection
from redis.exceptions import ResponseError

from gates import BrakeState, Ceilings, kill_switch
from tasks.errors import ErrorCode
from tasks.operations.changes.dials import RAW_COMMAND
from telemetry import emit
from worker.adapters.redis.clients import open_connection
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.errors import Cause, cause_of
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.adapters.redis.keys import AUDIT, HALTS_PROBE, KILL, KILL_MESSAGES

_log = logging.getLogger("slotgen.worker")
_POLL_SECONDS = 0.25
# A server without tracking is asked this often instead: slow enough for Redis, fast enough for a brake.
_POLL_UNTRACKED_SECONDS = 0.05
# How many changes after a message are searched for its release.
_CHANGES = 100
# How a connection answers a PING, whether or not it listens to messages.
_PONGS = ([b"pong", b""], b"PONG")


class KillSwitchListener(Protocol):
    """Receives the watch's reports; must be safe to call from the watch's thread."""

    def released(self, confirmed_mono: float) -> None:
        """Take note that the dial was off at `confirmed_mono`."""

    def engaged(self, reason: ErrorCode, seen_mono: float, *, reported: bool) -> None:
        """Take note that the dial is on, or its key gone; the change was seen at `seen_mono`.

        `reported`: a dial was just changed, as Redis says or a look finds that replaces its report; otherwise
        this is one more look at it.
        """

    def dials_changed(self) -> None:
        """Take note that Redis has reported a change of a dial."""


@dataclass(slots=True)
class KillSwitchWatch:
    """Watches `<namespace>:kill` in one thread, look by look.

    It does not report a loss of Redis: the brake's own grace period is for that.

    A message closes `latch`; what is written to the key later opens it, even unreported: as soon as the key
    itself halts, or the audit has a release. `poll_seconds` is how long a look waits for a report of a change
    before the next one asks by itself.
    """

    url: str
    namespace: str
    ceilings: Ceilings
    timeout_seconds: float
    listener: KillSwitchListener
    latch: HaltLatch
    poll_seconds: float = _POLL_SECONDS
    _connection: Connection | None = None
    # What messages come on: the same one, where Redis can write to it unasked.
    _hearing: Connection | None = None
    _audit_id: bytes | None = None
    _wait_seconds: float = _POLL_SECONDS
    _seen_mono: float = 0.0
    _reported: bool = False
    _is_told: bool = False
    # What the last look found, once there was one.
    _known: tuple[bytes | None, ...] = ()

    def look(self) -> None:
        """Report what the dial is, then wait for a change.

        Raises RedisError or OSError if Redis is lost; the next look opens a new connection.
        """
        try:
            if anew := self._connection is None or self._hearing is None:
                self._connection, self._hearing = self._open()
            self._report(self._connection, unreported=anew or self._hearing is not self._connection)
            self._reported = False
            # The position of the audit at a message is noted at once.
            noted = self._audit_id is not None or not self.latch.halted
            waiting = self._hearing.can_read(timeout=self._wait_seconds if noted else 0)
            self._seen_mono = time.monotonic()
            if waiting:
                self._take_in(self._hearing)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        for each in (self._connection, self._hearing):
            if each is not None:
                each.disconnect()
        self._connection, self._hearing, self._reported = None, None, False

    def _open(self) -> tuple[Connection, Connection]:
        self._wait_seconds = self.poll_seconds
        try:
            connection = hearing = self._connect(protocol=3)
            self._track(connection)
        except ResponseError as error:
            _raise_passing(error)
            # A server, or a proxy before it, without HELLO or tracking. It can still be asked; by RESP2 on
            # another connection than the one that hears messages.
            self._wait_seconds = _POLL_UNTRACKED_SECONDS
            connection, hearing = self._connect(protocol=2), self._connect(protocol=2)
        self._subscribe(hearing)
        self._seen_mono = time.monotonic()
        return connection, hearing

    def _connect(self, *, protocol: int) -> Connection:
        connection = open_connection(self.url, self.timeout_seconds, protocol=protocol)
        connection.connect()
        return connection

    def _track(self, connection: Connection) -> None:
        prefixes = [word for key in DIAL_KEYS.values() for word in ("PREFIX", key(self.namespace))]
        connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
        connection.read_response()
        parser: Any = connection._parser  # noqa: SLF001 - as redis-py's own PubSub and cache do
        parser.set_invalidation_push_handler(self._changed)
        parser.set_pubsub_push_handler(self._heard)

    def _subscribe(self, connection: Connection) -> None:
        connection.send_command("SUBSCRIBE", KILL_MESSAGES(self.namespace, connection.db))
        # Its answer is a push like any other, unless Redis forbids it.
        try:
            connection.read_response(push_request=True)
        except ResponseError as error:
            self._tell_forbidden(error)

    def _take_in(self, hearing: Connection) -> Any:
        """Read what Redis sends unasked; by RESP3 the parser has called its handler, and there is nothing."""
        push = hearing.read_response(push_request=True)
        if isinstance(push, list):
            self._heard(push)
        return push

    def _changed(self, push: list[Any]) -> None:
        """Take in a report of Redis; the keys that were changed are None when all are gone."""
        self._reported = True
        if push[1] is None or KILL(self.namespace).encode() in push[1]:
            self.latch.halted = False

    def _heard(self, push: list[Any]) -> None:
        """Halt by a message at once, whatever else Redis has to say; `false` is no halt, and no release."""
        if push[0] != b"message" or kill_switch.parse(push[2]) is BrakeState.RELEASED:
            return
        again, self.latch.halted, self._audit_id = self.latch.halted, True, None
        self.listener.engaged(ErrorCode.KILL_SWITCH, time.monotonic(), reported=True)
        self.listener.dials_changed()
        if not again:
            emit(_log, logging.WARNING, "halted_by_message")

    def _report(self, connection: Connection, *, unreported: bool) -> None:
        # Before the key is read: what opens the latch must be the newer of the two.
        resumed = self.latch.halted and self._resumed(connection)
        asked_mono = time.monotonic()
        kill = self._ask(connection)
        # What Redis does not report, or did not while the connection was lost, the look itself finds.
        news = self._reported or (unreported and self._known not in ((), (kill,)))
        self._known = (kill,)
        # While the key itself halts, the latch makes no difference: any release will be written later.
        halts = kill is None or kill_switch.parse(kill) is not BrakeState.RELEASED
        if halts or (resumed and self._audit_id):
            self.latch.halted = False
        kill = self.latch.over(kill)
        state = kill_switch.DIAL.read(kill, self.ceilings.of(kill_switch.GATE)).value
        if state is BrakeState.RELEASED:
            self.listener.released(asked_mono)
        else:
            engaged = state is BrakeState.ENGAGED
            reason = ErrorCode.KILL_SWITCH if engaged else ErrorCode.KILL_UNVERIFIED
            self.listener.engaged(reason, self._seen_mono, reported=news)
        if news:
            self.listener.dials_changed()

    def _ask(self, connection: Connection) -> bytes | None:
        # With RESP2, messages are read first: one must be known before the answer that may end its halt.
        hearing = self._hearing
        if hearing is not None and hearing is not connection:
            hearing.send_command("PING")
            while self._take_in(hearing) not in _PONGS:
                continue
        # A Redis that is paused for writes (a failover, CLIENT PAUSE) can be read, but nobody could halt.
        # PUBLISH waits like a halt then, and what would be read behind it stays unknown; lack of memory or of
        # replicas does not refuse it. MGET, not GET: a key of another type reads as absent, like everywhere.
        ns = self.namespace
        asked = [("PUBLISH", HALTS_PROBE(ns), ""), ("MGET", KILL(ns))]
        connection.send_packed_command(connection.pack_commands(asked))
        try:
            self._answer(connection)
        except ResponseError as error:
            self._tell_forbidden(error)
        value: bytes | None = self._answer(connection)[0]
        return value

    def _resumed(self, connection: Connection) -> bool:
        """Whether the audit has a release that came after the message, which may not have been reported.

        A raw command is recorded by whoever notices it, at any time later: its entry proves nothing.
        """
        audit = AUDIT(self.namespace)
        try:
            if self._audit_id is None:
                last = self._command(connection, "XREVRANGE", audit, "+", "-", "COUNT", 1)
                self._audit_id = last[0][0] if last else b"0-0"
                return False
            since = b"(" + self._audit_id
            changes = self._command(connection, "XREVRANGE", audit, "+", since, "COUNT", _CHANGES)
        except ResponseError:
            self._audit_id = self._audit_id or b""
            return False
        return any(_releases(dict(zip(words[::2], words[1::2], strict=True))) for _, words in changes)

    def _command(self, connection: Connection, *words: Any) -> Any:
        connection.send_command(*words)
        return self._answer(connection)

    def _answer(self, connection: Connection) -> Any:
        # What Redis sends unasked just before the answer reads as None, and has been taken in. Without
        # `push_request` redis-py would skip it, and the halt would go unconfirmed.
        while (answer := connection.read_response(push_request=True)) is None:
            continue
        return answer

    def _tell_forbidden(self, error: ResponseError) -> None:
        """Say once what an old or a foreign role costs; raise what will end by itself."""
        _raise_passing(error)
        if not self._is_told:
            emit(_log, logging.ERROR, "kill_messages_forbidden")
        self._is_told = True


def _raise_passing(error: ResponseError) -> None:
    """Raise what will end by itself; a command that is unknown or forbidden stays so."""
    if cause_of(error) not in {Cause.REFUSED, Cause.FORBIDDEN}:
        raise error


def _releases(change: dict[bytes, bytes]) -> bool:
    return (
        change.get(b"dial") == kill_switch.NAME.encode()
        and change.get(b"command") != RAW_COMMAND.encode()
        and kill_switch.parse(change.get(b"after", b"")) is BrakeState.RELEASED
    )
