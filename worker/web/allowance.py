"""Bounds how often something may be written down, and counts what was left out."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Allowance:
    """`burst` at once, and one more every `seconds`. `clock` returns seconds and never goes back.

    By default ten at once and one a minute: more than that nobody reads.
    """

    burst: int = 10
    seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _spent_until: float = float("-inf")
    _left_out: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> int | None:
        """Return how many were left out since the last time, or None when this one is to be left out."""
        with self._lock:
            now = self.clock()
            spent_until = max(self._spent_until, now) + self.seconds
            if spent_until > now + self.burst * self.seconds:
                self._left_out += 1
                return None
            self._spent_until = spent_until
            left_out, self._left_out = self._left_out, 0
            return left_out
