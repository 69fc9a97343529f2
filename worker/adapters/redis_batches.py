"""Sends what the calls of one event loop want of Redis at the same moment as one batch.

With hundreds of calls in flight each command costs as much as the round trip that it does not share: a call
needs ten, and one at a time they took a third of a worker's CPU. One batch is on its way at a time, so that
the next one grows with the load; commands reach Redis in the order in which they were given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    import redis.asyncio

    from worker.adapters.redis_scripts import Script

# So that one batch's replies do not hold the loop for long.
_MOST_COMMANDS = 200
# The words of a command, and what its caller waits for.
_Asked = tuple[tuple[Any, ...], asyncio.Future[Any]]


@dataclass(slots=True)
class RedisBatches:
    """The batches of one event loop, over a client of its own.

    A command is not taken back when its caller is cancelled. Every method raises RedisError or OSError: its
    own when Redis refuses the command, that of the whole batch when Redis cannot be asked.
    """

    client: redis.asyncio.Redis
    _waiting: list[_Asked] = field(default_factory=list)
    _sent: list[_Asked] = field(default_factory=list)
    _sending: asyncio.Task[None] | None = None

    async def command(self, *words: Any) -> Any:
        """Return the reply to one command, given in its words."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((words, reply))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
            self._sending.add_done_callback(self._forsake)
        return await reply

    async def run(self, script: Script, keys: Sequence[str], *arguments: Any) -> Any:
        """Return the reply of `script`."""
        try:
            return await self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.command("EVAL", script.text, len(keys), *keys, *arguments)

    async def _send(self) -> None:
        while self._waiting:
            self._sent, self._waiting = self._waiting[:_MOST_COMMANDS], self._waiting[_MOST_COMMANDS:]
            _answer(self._sent, await self._replies([words for words, _ in self._sent]))
        self._sent, self._sending = [], None

    def _forsake(self, sending: asyncio.Task[None]) -> None:
        """Cancel whoever waits when the sending was cancelled, as at the end of the loop."""
        if sending.cancelled():
            forsaken = [*self._sent, *self._waiting]
            self._sent, self._waiting, self._sending = [], [], None
            for _, reply in forsaken:
                reply.cancel()

    async def _replies(self, commands: list[tuple[Any, ...]]) -> Sequence[Any]:
        """Return a reply or an exception for each command."""
        try:
            async with self.client.pipeline(transaction=False) as pipe:
                for words in commands:
                    pipe.execute_command(*words)
                return await pipe.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 - it is each caller's, who knows which ones it expects
            return [error] * len(commands)


def _answer(batch: list[_Asked], replies: Sequence[Any]) -> None:
    for (_, reply), said in zip(batch, replies, strict=True):
        if reply.done():
            continue  # its caller was cancelled meanwhile
        if isinstance(said, Exception):
            reply.set_exception(said)
        else:
            reply.set_result(said)
