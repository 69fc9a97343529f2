"""Reads the four dials from Redis, fresh, in one MGET with a deadline."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from gates import Ceilings, Controls, RawControls
from worker.adapters.redis_clients import RedisError
from worker.adapters.redis_keys import dial_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis


# Hundreds of threads that read at once starve each other of the interpreter, and a healthy Redis looks
# slow: with 500 calls starting, reads of 0.1 ms were measured at 280 ms. A few at a time stay honest, and
# the wait for one's turn is not Redis's to answer for.
_READS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class RedisControls:
    """The dials of one namespace. `observe(controls, seconds)` gets every read, failed ones too."""

    client: redis.Redis
    namespace: str
    ceilings: Ceilings
    deadline_seconds: float
    observe: Callable[[Controls, float], None]
    _turns: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_READS_AT_ONCE)
    )

    def read(self) -> Controls:
        """Return the dials as they are now; what cannot be read within the deadline is UNVERIFIED."""
        with self._turns:
            began_mono = time.monotonic()
            controls = self._read()
            seconds = time.monotonic() - began_mono
        if seconds > self.deadline_seconds:
            controls = Controls.unreadable(f"Redis took {seconds * 1000:.0f} ms to answer")
        self.observe(controls, seconds)
        return controls

    def _read(self) -> Controls:
        try:
            values = cast("list[bytes | None]", self.client.mget(dial_keys(self.namespace)))
        except (RedisError, OSError) as error:
            return Controls.unreadable(f"Redis did not answer ({type(error).__name__})")
        return Controls.parse(RawControls(*values), self.ceilings)
