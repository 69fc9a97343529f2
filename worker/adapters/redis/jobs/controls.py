"""Reads the gates' dials from Redis, fresh, in one MGET for each read, which has a deadline."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis
import redis.asyncio
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
_SHARE_OF_DEADLINE = 0.25
_NAMES = [dial.name for dial in DIALS]
# A reply that waits at its socket needs two or three turns of the loop to be read.
_TURNS = 8
# A new policy of 64 KiB takes the loop 2 ms; a longer one is read in a thread, that no halt waits for it.
_LONG_BYTES = 65_536

T = TypeVar("T")


@dataclass(slots=True)
class RedisControls:
    """The dials of one namespace. `observe(controls, seconds)` gets every read, failed ones too.

    `read_each` is for one event loop, where one call may be under way at a time, on a connection of
    `loop_client`; `read` is for any thread. `latch` stands over the kill switch's key: a message may have
    halted this process. `mono` is the clock of the deadline, in seconds.
    """

    client: redis.Redis
    namespace: str
    ceilings: Ceilings
    deadline_seconds: float
    observe: Callable[[Controls, float], None]
    latch: HaltLatch = field(default_factory=HaltLatch)
    at_once: int = _FIRST_AT_ONCE
    mono: Callable[[], float] = time.monotonic
    loop_client: redis.asyncio.Redis | None = None
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
            try:
                await self._read(number, found)
            except RedisConnectionError:
                if found:
                    raise
                # It was cut off while it was idle, most often, which shows when it is used.
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
        if self.loop_client is None:
            raise TypeError("no client of an event loop was given")
        pool: Any = self.loop_client.connection_pool
        connection = self._connection = self._connection or pool.get_available_connection()
        try:
            if not connection.is_connected:
                await _in_time(pool.ensure_connection(connection), self.deadline_seconds)
            began_mono = self.mono()
            command = "MGET", *dial_keys(self.namespace)
            await connection.send_packed_command(connection.pack_commands([command] * number))
            for _ in range(number):
                values = await _in_time(connection.read_response(timeout=math.inf), self.deadline_seconds)
                # A late reply is not waited for; the rest of the time was the loop's.
                seconds = min(self.mono() - began_mono, self.deadline_seconds)
                if sum(map(len, filter(None, values))) > _LONG_BYTES:
                    found.append(await asyncio.to_thread(self._controls, values, seconds))
                else:
                    found.append(self._controls(values, seconds))
                # Reading a new policy takes us a while, and is not Redis's to answer for.
                began_mono = self.mono()
        except BaseException:
            # What was asked may still be answered: no other caller may read that.
            await connection.disconnect(nowait=True)
            raise

    async def close(self) -> None:
        """End the connection of the loop."""
        if self.loop_client is not None:
            await self.loop_client.aclose()

    def _controls(self, values: list[bytes | None], seconds: float) -> Controls:
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


async def _in_time(reply: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what `reply` comes to by then. Raises what it raises, and redis's TimeoutError.

    What has come while the loop was busy is in time: the loop sees it soon after it has seen the clock.
    """
    coming = asyncio.ensure_future(reply)
    try:
        await asyncio.wait({coming}, timeout=seconds)
        for _ in range(_TURNS):
            if coming.done():
                return coming.result()
            await asyncio.sleep(0)
        raise RedisTimeoutError("Redis did not answer")
    finally:
        coming.cancel()
