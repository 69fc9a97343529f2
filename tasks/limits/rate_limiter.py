"""Lets requests leave as fast as the server takes them: the fleet's cooldown, its breaker, one probe."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tasks.errors import ErrorCode, Failed, ModelError
from tasks.ports import Departed

# A server without room says so at once, while an answer takes seconds: a request not refused within this time
# has shown that there is room. (With 200 jobs starting at once, it took 0.5 s to read a refusal.)
_REFUSAL_SECONDS = 1.0
# A cooldown may be cleared early, or cut shorter than the server asked.
_LOOK_SECONDS = 5.0
# Errors that every request of this account would meet; the first one counts for all.
_TERMINAL = {ErrorCode.OPENAI_QUOTA_EXHAUSTED, ErrorCode.OPENAI_AUTH_ERROR}


@dataclass(slots=True)
class RateLimiter:
    """The requests of one process to one model; runs on one event loop.

    After a cooldown, and when the process starts, one request goes first; the others follow once it was not
    refused. A cooldown that any worker was asked for holds for the whole fleet. None is longer than
    `longest_seconds`, whatever the server asked for.
    """

    longest_seconds: float = math.inf
    _has_room: bool = False
    _cooling_until: float = 0.0
    _is_one_ahead: bool = False
    _not_refused: asyncio.TimerHandle | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def depart(self, ask: Callable[[], Awaitable[Departed]]) -> Departed:
        """Return what `ask` says once it lets a request leave, or speaks of more than cooldown and breaker.

        Raises:
            Failed: the breaker is open.

        and what `ask` raises.

        """
        loop = asyncio.get_running_loop()
        while True:
            ahead = await self._turn()
            left = False
            try:
                if ahead:
                    await asyncio.sleep(min(max(0.0, self._cooling_until - loop.time()), _LOOK_SECONDS))
                said = await ask()
                if said.wait_seconds:
                    self._cool(said.wait_seconds)
                    continue
                if said.refused is not None:
                    self._found_room()
                    raise Failed(
                        said.refused, "refused for the whole fleet; one request at a time tries again"
                    )
                left = said.left
                if left and ahead:
                    self._cooling_until = min(self._cooling_until, loop.time())
                    self._not_refused = loop.call_later(_REFUSAL_SECONDS, self._found_room)
                return said
            finally:
                if ahead and not left:
                    self._wake()

    def answered(self) -> None:
        """Note that a request was not refused."""
        self._found_room()

    def failed(self, error: ModelError) -> tuple[float, ErrorCode | None]:
        """Note that a request failed; return what the whole fleet must know of it.

        That is the cooldown in seconds (0 for none) and the refusal of the account (or None).
        """
        refused = error.code if error.code in _TERMINAL else None
        if error.code is not ErrorCode.OPENAI_RATE_LIMITED or not error.retry_after_seconds:
            self._found_room()
            return 0.0, refused
        seconds = min(error.retry_after_seconds, self.longest_seconds)
        self._cool(seconds)
        self._wake()
        return seconds, refused

    async def _turn(self) -> bool:
        """Return when a request may ask to leave; True when it is the one that goes ahead of the others."""
        while not self._has_room and self._is_one_ahead:
            await self._changed.wait()
        if self._has_room:
            return False
        self._is_one_ahead = True
        return True

    def _cool(self, seconds: float) -> None:
        self._has_room = False
        self._cooling_until = max(self._cooling_until, asyncio.get_running_loop().time() + seconds)

    def _found_room(self) -> None:
        # What was sent before a cooldown says nothing about the time after it.
        self._has_room = asyncio.get_running_loop().time() >= self._cooling_until
        self._wake()

    def _wake(self) -> None:
        """Let another go ahead, or all of them."""
        if self._not_refused is not None:
            self._not_refused.cancel()
        self._not_refused, self._is_one_ahead = None, False
        self._changed.set()
        self._changed = asyncio.Event()
