"""Sends what the calls of one event loop want of Redis at the same moment as one batch.

With hundreds of calls in flight each command costs as much as the round trip that it does not share: one at a
time, those of the jobs took a third of a worker's CPU. Commands reach Redis in the order in which they were
given.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from tasks.generate.batching import Batcher
from tasks.limits.retry import RetryPolicy
from telemetry import emit
from worker.adapters.redis.errors import Cause, RedisUnavailable, unavailable, unavailable_by
from worker.adapters.redis.scripts import LuaScript

# So that one batch's replies do not hold the loop for long.
_MOST_COMMANDS = 200
_UNTIL_IT_ACCEPTS = RetryPolicy(initial_seconds=0.05, max_seconds=1.0).retrying(
    lambda error: isinstance(error, RedisUnavailable)
)
_log = logging.getLogger("slotgen.results")

Words = tuple[Any, ...]


@dataclass(slots=True)
class RedisBatches:
    """The batches of one event loop, over a client of its own; each ends within `timeout_seconds`.

    A command is not taken back when its caller is cancelled, and is sent again when the connection breaks:
    twice must be once. Every method but `run_patiently` raises RedisUnavailable: its own when Redis refuses
    the command, that of the whole batch when Redis cannot be asked.
    """

    client: redis.asyncio.Redis
    timeout_seconds: float = 5.0
    _commands: Batcher[Words, Any] = field(init=False)
    _connection: AbstractConnection | None = None
    _waiting: Counter[Cause] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._commands = Batcher(self._replies, lambda: _MOST_COMMANDS)

    def command(self, *words: Any) -> asyncio.Future[Any]:
        """Return what will have the reply to one command, given in its words."""
        return self._commands.submit(words)

    async def run(self, script: LuaScript, keys: Sequence[str | bytes], *arguments: Any) -> Any:
        """Return the reply of `script`, as `LuaScript.run` does."""
        words = script.words(keys, arguments)
        try:
            return await self.command("EVALSHA", script.sha, *words)
        except NoScriptError:
            return await self.command("EVAL", script.text, *words)

    async def run_patiently(self, script: LuaScript, keys: Sequence[str | bytes], *arguments: Any) -> Any:
        """Return the reply of `script`, which runs again for as long as Redis is away or refuses it.

        There is no cause that does not count: what was paid for must not be lost to one that nobody knows.
        The log has each cause once while anybody waits for it. What Redis has run and answered too late is
        run again: twice must be once.
        """
        try:
            # Almost always this is all, and costs a third of what tenacity takes to find that out.
            return await self.run(script, keys, *arguments)
        except RedisUnavailable as error:
            cause = error.cause
            if not self._waiting[cause]:
                emit(_log, logging.WARNING, "result_refused", error=error.error, cause=cause.what)
        self._waiting[cause] += 1
        try:
            return await _UNTIL_IT_ACCEPTS(self.run, script, keys, *arguments)
        finally:
            self._waiting[cause] -= 1

    async def _replies(self, commands: list[Words]) -> Sequence[Any]:
        with unavailable(self.client):
            return await self._asked(commands)

    async def _asked(self, commands: list[Words]) -> Sequence[Any]:
        was_connected = self._connection is not None and self._connection.is_connected
        try:
            return await self._exchanged(commands)
        except RedisConnectionError:
            if not was_connected:
                raise
            # It was cut off while it was idle, most often, which shows only when it is used.
            return await self._exchanged(commands)

    async def _exchanged(self, commands: list[Words]) -> Sequence[Any]:
        # redis-py's pipeline does the same in more steps for each command, at twice the CPU.
        pool: Any = self.client.connection_pool
        connection = self._connection = self._connection or pool.get_available_connection()
        try:
            async with asyncio.timeout(self.timeout_seconds):
                if not connection.is_connected:
                    await pool.ensure_connection(connection)
                await connection.send_packed_command(connection.pack_commands(commands))
                return [await self._reply(connection) for _ in commands]
        except BaseException:
            # What was sent may still be answered: no other caller may read that.
            await connection.disconnect(nowait=True)
            raise

    async def _reply(self, connection: AbstractConnection) -> Any:
        try:
            return await connection.read_response(timeout=math.inf)
        except NoScriptError as forgotten:
            return forgotten  # for `run`, which knows the text
        except ResponseError as refusal:
            return unavailable_by(refusal, self.client)
