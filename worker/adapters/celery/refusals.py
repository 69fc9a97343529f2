"""Makes the consumer wait while Redis refuses it or is away; logs once why, and once when it is over."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from kombu.asynchronous import get_event_loop
from redis.exceptions import ResponseError

from telemetry import emit
from worker.adapters.redis.errors import Cause, cause_of

_log = logging.getLogger("slotgen.delivery")
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(slots=True)
class Refusals:
    """What the Redis at `address` (without secrets) refuses one process's consumer, be it a command or the
    connection; `cause` is the present reason.

    A refused command is not a broken connection: opening a new one would return every message in hand to the
    queue.
    """

    address: str
    cause: Cause | None = None
    _pause_seconds: float = _FIRST_PAUSE_SECONDS
    _until_mono: float = float("-inf")

    @property
    def pause_seconds(self) -> float:
        """For how long from now Redis is not to be asked; 0 if it may be."""
        return max(self._until_mono - time.monotonic(), 0.0)

    def refused(self, error: BaseException) -> None:
        """Wait, twice as long each time in a row (0.1 to 2 s)."""
        self._until_mono = time.monotonic() + self._pause_seconds
        # Without a timer, nothing would wake an idle consumer.
        if hub := get_event_loop():
            hub.call_later(self._pause_seconds, lambda: None)
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        self._say(error)

    def noticing(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return `work`, which asks Redis in a thread of its own, wrapped so that refusals are noted.

        While Redis is busy with a script, the consumer's wait for a message gets no answer, not even a
        refusal.
        """

        def noticed() -> None:
            try:
                work()
            except ResponseError as error:
                if cause_of(error) is Cause.BUSY:
                    self._say(error)
                raise

        return noticed

    def _say(self, error: BaseException) -> None:
        cause = cause_of(error)
        if cause is not self.cause:
            self.cause = cause
            emit(
                _log,
                logging.ERROR,
                "redis_refused",
                address=self.address,
                cause=cause.what,
                remedy=cause.remedy,
                error=type(error).__name__,
            )

    def accepted(self) -> None:
        """Note that Redis did as it was asked."""
        if self.cause is not None:
            self.cause, self._pause_seconds = None, _FIRST_PAUSE_SECONDS
            emit(_log, logging.INFO, "redis_accepted")
