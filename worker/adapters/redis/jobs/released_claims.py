"""Hears when claims are given back, so that whoever waits for one need not ask again and again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import redis.asyncio

from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.keys import RELEASED

# A worker that is killed gives nothing back, and a message may be lost with its connection.
_LOOK_SECONDS = 2.0


@dataclass(slots=True)
class ReleasedClaims:
    """The claims of one namespace that one event loop waits for; it listens while there are any."""

    client: redis.asyncio.Redis
    namespace: str
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict)
    _listening: asyncio.Task[None] | None = None
    _hears: bool = False

    @contextlib.asynccontextmanager
    async def of(self, job: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever the job's claim may be free: given back, or nobody can say."""
        event = asyncio.Event()
        self._waiting.setdefault(job, set()).add(event)
        if self._hears:
            event.set()  # it may have been given back just before
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        try:
            yield event
        finally:
            self._waiting[job].discard(event)
            if not self._waiting[job]:
                del self._waiting[job]
            if not self._waiting and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    async def _listen(self) -> None:
        while True:
            try:
                async with self.client.pubsub() as channel:
                    await channel.subscribe(RELEASED(self.namespace))
                    while True:
                        heard = await channel.get_message(timeout=_LOOK_SECONDS)
                        self._hears = True
                        released = heard is not None and heard["type"] == "message"
                        self._wake(heard["data"].decode(errors="replace") if heard and released else None)
            except REDIS_ERRORS:
                await asyncio.sleep(_LOOK_SECONDS)
                self._wake(None)
            finally:
                self._hears = False

    def _wake(self, job: str | None) -> None:
        """Wake who waits for `job`, None for all."""
        for each in [job] if job is not None else list(self._waiting):
            for event in self._waiting.get(each, ()):
                event.set()
