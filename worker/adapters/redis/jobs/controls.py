"""Reads the gates' dials from Redis, fresh, in one MGET for each read, which has a deadline."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis

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


@dataclass(slots=True)
class RedisControls:
    """The dials of one namespace. `observe(controls, seconds)` gets every read, failed ones too.

    `latch` stands over the kill switch's key: a message may have halted this process. `mono` is the clock of
    the deadline, in seconds.
    """

    client: redis.Redis
    namespace: str
    ceilings: Ceilings
    deadline_seconds: float
    observe: Callable[[Controls, float], None]
    latch: HaltLatch = field(default_factory=HaltLatch)
    at_once: int = _FIRST_AT_ONCE
    mono: Callable[[], float] = time.monotonic

    def read(self) -> Controls:
        """Return the dials as they are now; what cannot be read within the deadline is UNVERIFIED."""
        return self.read_each(1)[0]

    def read_each(self, number: int) -> list[Controls]:
        """Return `number` reads, each by an MGET of its own and with a deadline of its own.

        The first one's time includes the sending, each later one's begins with the reply before it.
        """
        began_mono = self.mono()
        found: list[Controls] = []
        try:
            self._read(number, found)
        except REDIS_ERRORS as error:
            seconds = self.mono() - began_mono
            trouble = Controls.unreadable(f"Redis {cause_of(error).what} ({type(error).__name__})")
            while len(found) < number:
                found.append(self._observed(trouble, seconds))
        seconds = max(self.mono() - began_mono, 1e-6)
        fitting = int(number * self.deadline_seconds * _SHARE_OF_DEADLINE / seconds)
        self.at_once = max(1, min(fitting, _MOST_AT_ONCE))
        return found

    def _read(self, number: int, found: list[Controls]) -> None:
        """Append to `found` as far as Redis answers. Raises RedisError or OSError where it does not."""
        pool: Any = self.client.connection_pool
        connection = pool.get_connection()
        try:
            began_mono = self.mono()
            connection.send_packed_command(
                connection.pack_commands([("MGET", *dial_keys(self.namespace))] * number)
            )
            for _ in range(number):
                values = connection.read_response()
                found.append(self._controls(values, self.mono() - began_mono))
                # Reading a new policy takes us a while, and is not Redis's to answer for.
                began_mono = self.mono()
        except BaseException:
            # What was asked may still be answered: no other caller may read that.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def _controls(self, values: list[bytes | None], seconds: float) -> Controls:
        if seconds > self.deadline_seconds:
            trouble = Controls.unreadable(f"Redis took {seconds * 1000:.0f} ms to answer")
            return self._observed(trouble, seconds)
        raw = dict(zip(_NAMES, values, strict=True))
        raw[kill_switch.NAME] = self.latch.over(raw[kill_switch.NAME])
        return self._observed(Controls.parse(raw, self.ceilings), seconds)

    def _observed(self, controls: Controls, seconds: float) -> Controls:
        self.observe(controls, seconds)
        return controls
