"""Lets requests leave as the server can take them: the fleet's cooldown, its breaker, one ahead of all."""

import asyncio
import math
from dataclasses import dataclass, field

from tasks.errors import ErrorCode, Failed, ModelError
from tasks.ports import RateLimits

# A server that has no room says so at once, an answer takes seconds: a request that was not refused within
# this time has shown that there is room. (With 200 jobs starting at once a refusal took 0.5 s to be read.)
_REFUSAL_SECONDS = 1.0
# A cooldown may be cleared, or be shorter than was asked for.
_LOOK_SECONDS = 5.0
# Errors that no request of this account is spared; the first one speaks for all.
_TERMINAL = {ErrorCode.OPENAI_QUOTA_EXHAUSTED, ErrorCode.OPENAI_AUTH_ERROR}


@dataclass(slots=True)
class RateLimiter:
    """The requests of one process to one model; runs on one event loop.

    After a cooldown, and at the process's start, one request goes ahead; the others follow once it was not
    refused. A cooldown that any worker was asked for holds for all of them.
    None is longer than `longest_seconds`, whatever the server asked for.
    """

    limits: RateLimits
    model: str
    longest_seconds: float = math.inf
    _has_room: bool = False
    _cooling_until: float = 0.0
    _ahead: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def acquire(self) -> bool:
        """Return when a request may leave; True when it is the probe of an open breaker.

        Raises:
            Failed: the breaker is open.
            StoreUnavailable: what holds is not known.

        """
        loop, waited = asyncio.get_running_loop(), False
        while True:
            state = await self.limits.state(self.model)
            if state.refused is not None and not state.probe:
                raise Failed(state.refused, "refused for the whole fleet; one request at a time tries again")
            if state.wait_seconds > 0:
                self._cool(state.wait_seconds)
                await asyncio.sleep(min(state.wait_seconds, _LOOK_SECONDS))
                waited = True
                continue
            if waited:
                self._cooling_until = min(self._cooling_until, loop.time())
                waited = False
            if state.probe or self._has_room or self._go_ahead():
                return state.probe
            async with self._changed:
                await self._changed.wait()

    async def answered(self, *, probe: bool) -> None:
        """Take note that a request was not refused."""
        await self._found_room()
        if probe:
            await self.limits.close_breaker()

    async def failed(self, error: ModelError) -> bool:
        """Take note that a request failed; return whether it was only asked to come back later."""
        if error.code in _TERMINAL:
            await self.limits.open_breaker(error.code)
        if error.code is not ErrorCode.OPENAI_RATE_LIMITED or not error.retry_after_seconds:
            await self._found_room()
            return False
        seconds = min(error.retry_after_seconds, self.longest_seconds)
        self._cool(seconds)
        await self.limits.cool_down(self.model, seconds)
        await self._wake()
        return True

    def _cool(self, seconds: float) -> None:
        self._has_room = False
        self._cooling_until = max(self._cooling_until, asyncio.get_running_loop().time() + seconds)

    def _go_ahead(self) -> bool:
        """Whether this request is the one that goes ahead of the others."""
        if self._ahead is not None and not self._ahead.done():
            return False
        self._ahead = asyncio.ensure_future(self._not_refused_in_time())
        return True

    async def _not_refused_in_time(self) -> None:
        await asyncio.sleep(_REFUSAL_SECONDS)
        await self._found_room()

    async def _found_room(self) -> None:
        # What was sent before a cooldown says nothing of the time after it.
        self._has_room = asyncio.get_running_loop().time() >= self._cooling_until
        await self._wake()

    async def _wake(self) -> None:
        if self._ahead is not None and self._ahead is not asyncio.current_task():
            self._ahead.cancel()
        self._ahead = None
        async with self._changed:
            self._changed.notify_all()
