"""The one retry policy for calls: how long to wait before a failed one is made again, and when not to.

What is not a call has a pause of its own: a polling thread (Background), a consumer that Redis refuses
(Refusals), and a producer waiting for answers.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    stop_never,
    wait_exponential_jitter,
)

from tasks.errors import ErrorCode, ModelError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits double from `initial_seconds` to at most `max_seconds`, with up to `initial_seconds` of jitter.

    The server's Retry-After is added to that, unless it is longer than `max_retry_after_seconds`: then there
    is no further attempt.
    """

    initial_seconds: float
    max_seconds: float
    max_retry_after_seconds: float = math.inf

    def retrying(
        self,
        may_succeed: Callable[[BaseException], bool],
        *,
        attempts: int | None = None,
        deadline_seconds: float = math.inf,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> AsyncRetrying:
        """Return a retrier that repeats a call while its error `may_succeed` later, then raises the last one.

        The call is made at most `attempts` times (None: no limit), and not after `deadline_seconds`. `sleep`
        is how it waits in between.
        """
        return AsyncRetrying(
            retry=retry_if_exception(lambda error: may_succeed(error) and self._in_time(error)),
            stop=(stop_never if attempts is None else stop_after_attempt(attempts))
            | stop_before_delay(deadline_seconds),
            wait=self._wait_seconds,
            sleep=sleep,
            reraise=True,
        )

    def _in_time(self, error: BaseException) -> bool:
        return not isinstance(error, ModelError) or (
            (error.retry_after_seconds or 0) <= self.max_retry_after_seconds
        )

    def _wait_seconds(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = (isinstance(error, ModelError) and error.retry_after_seconds) or 0.0
        if asked and isinstance(error, ModelError) and error.code is ErrorCode.OPENAI_RATE_LIMITED:
            # The rate limiter lets the whole fleet wait for that.
            return 0.0
        backoff = wait_exponential_jitter(
            multiplier=self.initial_seconds, max=self.max_seconds, jitter=self.initial_seconds
        )(state)
        # Added, not replaced: many workers that were told the same second must not all come back at once.
        return backoff + asked
