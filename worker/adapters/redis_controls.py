"""Reads the four dials from Redis, fresh, in one MGET with a deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from gates import Ceilings, Controls, RawControls
from worker.adapters.redis_clients import RedisError
from worker.adapters.redis_keys import dial_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis


@dataclass(frozen=True, slots=True)
class RedisControls:
    """The dials of one namespace. `observe(controls, seconds)` gets every read, failed ones too."""

    client: redis.Redis
    namespace: str
    ceilings: Ceilings
    deadline_seconds: float
    observe: Callable[[Controls, float], None]

    def read(self) -> Controls:
        """Return the dials as they are now; what cannot be read within the deadline is UNVERIFIED."""
        return self.read_each(1)[0]

    def read_each(self, number: int) -> list[Controls]:
        """Return `number` reads, each by an MGET of its own; the deadline is that of them all."""
        began_mono = time.monotonic()
        found = self._read(number)
        seconds = time.monotonic() - began_mono
        if seconds > self.deadline_seconds:
            found = [Controls.unreadable(f"Redis took {seconds * 1000:.0f} ms to answer")] * number
        for each in found:
            self.observe(each, seconds)
        return found

    def _read(self, number: int) -> list[Controls]:
        keys = dial_keys(self.namespace)
        try:
            with self.client.pipeline(transaction=False) as pipe:
                for _ in range(number):
                    pipe.mget(keys)
                read = cast("list[list[bytes | None]]", pipe.execute())
        except (RedisError, OSError) as error:
            return [Controls.unreadable(f"Redis did not answer ({type(error).__name__})")] * number
        return [Controls.parse(RawControls(*values), self.ceilings) for values in read]
