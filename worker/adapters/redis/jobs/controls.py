"""Reads the gates' dials from Redis, fresh, in one MGET for each read, which has a deadline."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gates import DIALS, Ceilings, Controls, kill_switch
from worker.adapters.redis.dial_keys import dial_keys
from worker.adapters.redis.errors import REDIS_ERRORS, cause_of
from worker.adapters.redis.jobs.halt_latch import HaltLatch

# 200 reads of a small policy take about 2 ms. Those of a policy of a megabyte take 5 ms each: a round trip
# has as many as fit into a quarter of one read's deadline, by what the last one took.
_MOST_AT_ONCE = 200
_FIRST_AT_ONCE = 16
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)
_SHARE_OF_DEADLINE = 0.25
_NAMES = [dial.name for dial in DIALS]
_RECEIVED_BYTES = 262_144
# A new policy of 64 KiB takes the loop 2 ms; a longer one is read in a thread, that no halt waits for it.
_LONG_BYTES = 65_536

Values = list[bytes | None]


@dataclass(slots=True)
class RedisControls:
    """The dials of one namespace. `observe(controls, seconds)` gets every read, failed ones too.

    `read_each` is for one event loop, where one call may be under way at a time, and has a connection of its
    own; `read` is for any thread. `latch` stands over the kill switch's key: a message may have halted this
    process. `mono` is the clock of the deadline, in seconds.
    """

    client: redis.Redis
    namespace: str
    ceilings: Ceilings
    deadline_seconds: float
    observe: Callable[[Controls, float], None]
    latch: HaltLatch = field(default_factory=HaltLatch)
    at_once: int = _FIRST_AT_ONCE
    mono: Callable[[], float] = time.monotonic
    _connection: Any = None

    def read(self) -> Controls:
        """Return the dials as they are now; what cannot be read within the deadline is UNVERIFIED."""
        began_mono = self.mono()
        try:
            values: Any = self.client.mget(dial_keys(self.namespace))
        except REDIS_ERRORS as error:
            return self._unread(error, self.mono() - began_mono)
        return self._controls(values, self.mono() - began_mono)

    async def read_each(self, number: int) -> list[Controls]:
        """Return `number` reads, each by an MGET of its own and with a deadline of its own.

        The first one's time includes the sending, each later one's begins with the reply before it. What has
        come while the loop was busy is in time.
        """
        began_mono = self.mono()
        found: list[Controls] = []
        try:
            await self._read(number, found)
        except REDIS_ERRORS as error:
            seconds = self.mono() - began_mono
            found += [self._unread(error, seconds) for _ in range(number - len(found))]
        seconds = max(self.mono() - began_mono, 1e-6)
        fitting = int(number * self.deadline_seconds * _SHARE_OF_DEADLINE / seconds)
        self.at_once = max(1, min(fitting, _MOST_AT_ONCE))
        return found

    async def _read(self, number: int, found: list[Controls]) -> None:
        """Append to `found` as far as Redis answers. Raises RedisError or OSError where it does not."""
        if self._connection is None or not _is_quiet(self._connection):
            self._drop()
            self._connection = await asyncio.to_thread(self._connected)
        connection, wire = self._connection, bytearray()
        try:
            began_mono = self.mono()
            command = "MGET", *dial_keys(self.namespace)
            connection.send_packed_command(connection.pack_commands([command] * number))
            for _ in range(number):
                until = asyncio.get_running_loop().time() + self.deadline_seconds
                while (values := _taken(wire, connection)) is None:
                    await _receive(connection, wire, until)
                # What is late was not waited for; the rest of the time was the loop's.
                seconds = min(self.mono() - began_mono, self.deadline_seconds)
                if sum(map(len, filter(None, values))) > _LONG_BYTES:
                    found.append(await asyncio.to_thread(self._controls, values, seconds))
                else:
                    found.append(self._controls(values, seconds))
                # Reading a new policy takes us a while, and is not Redis's to answer for.
                began_mono = self.mono()
        except BaseException:
            # What was asked may still be answered: no other caller may read that.
            self._drop()
            raise

    def _connected(self) -> Any:
        connection: Any = self.client.connection_pool.get_connection()
        connection._sock.settimeout(0)  # noqa: SLF001 - redis-py opens it, the loop waits for it
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self.client.connection_pool.release(self._connection)
            self._connection = None

    def _controls(self, values: Values, seconds: float) -> Controls:
        if seconds > self.deadline_seconds:
            trouble = Controls.unreadable(f"Redis took {seconds * 1000:.0f} ms to answer")
            return self._observed(trouble, seconds)
        raw = dict(zip(_NAMES, values, strict=True))
        raw[kill_switch.NAME] = self.latch.over(raw[kill_switch.NAME])
        return self._observed(Controls.parse(raw, self.ceilings), seconds)

    def _unread(self, error: BaseException, seconds: float) -> Controls:
        trouble = Controls.unreadable(f"Redis {cause_of(error).what} ({type(error).__name__})")
        return self._observed(trouble, seconds)

    def _observed(self, controls: Controls, seconds: float) -> Controls:
        self.observe(controls, seconds)
        return controls


def _is_quiet(connection: Any) -> bool:
    """Whether nothing has come since the last reply, be it the end of the connection."""
    try:
        # Past TLS, which cannot look without taking.
        socket.socket.recv(connection._sock, 1, socket.MSG_PEEK)  # noqa: SLF001 - see `_connected`
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


async def _receive(connection: Any, wire: bytearray, until: float) -> None:
    """Add to `wire` what comes until then, by the loop's clock. Raises RedisError or OSError if none does."""
    sock = connection._sock  # noqa: SLF001 - see `_connected`
    while True:
        with contextlib.suppress(*_NOTHING_YET):
            received = sock.recv(_RECEIVED_BYTES)
            if not received:
                raise RedisConnectionError("Redis has closed the connection")
            wire += received
            return
        await _readable(sock, until)


async def _readable(sock: socket.socket, until: float) -> None:
    """Return once `sock` has something to read. Raises redis's TimeoutError.

    The loop hears sockets before clocks: however late it comes to look, it finds what was there in time.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bool] = loop.create_future()

    def end(*, in_time: bool) -> None:
        if not heard.done():
            heard.set_result(in_time)

    timer = loop.call_at(until, partial(end, in_time=False))
    loop.add_reader(sock, partial(end, in_time=True))
    try:
        if not await heard:
            raise RedisTimeoutError("Redis did not answer")
    finally:
        timer.cancel()
        loop.remove_reader(sock)


def _taken(wire: bytearray, connection: Any) -> Values | None:
    """Take the reply to one MGET off the front of `wire`; None while it is not whole.

    Raises:
        ResponseError: it is a refusal.

    """
    end = wire.find(b"\r\n")
    if end < 0:
        return None
    head = bytes(wire[:end]).decode()
    if head[0] != "*":
        raise connection._parser.parse_error(head[1:])  # noqa: SLF001 - as redis-py reads it itself
    values: Values = []
    place = end + 2
    for _ in range(int(head[1:])):
        end = wire.find(b"\r\n", place)
        if end < 0:
            return None
        size, place = int(wire[place + 1 : end]), end + 2
        if size < 0:
            values.append(None)
            continue
        if len(wire) < place + size + 2:
            return None
        values.append(bytes(wire[place : place + size]))
        place += size + 2
    del wire[:place]
    return values
