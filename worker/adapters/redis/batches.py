"""Sends what the calls of one event loop want of Redis at the same moment as one batch.

With hundreds of calls in flight each command costs as much as the round trip that it does not share: a call
needs ten, and one at a time they took a third of a worker's CPU. Commands reach Redis in the order in which
they were given.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from tasks.generate.batching import Batcher
from worker.adapters.redis.scripts import LuaScript

# So that one batch's replies do not hold the loop for long.
_MOST_COMMANDS = 200
# After this long without a command, Redis may have closed the connection: asking costs 60 us.
_IDLE_SECONDS = 1.0
_PASSING = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError, OSError)
# Refusals that end by themselves, or once somebody has seen to Redis: no room in memory or on disk, not the
# primary or without its replicas, at work on a script.
_PASSING_WORDS = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "BUSY")

Words = tuple[Any, ...]


def passes(error: BaseException) -> bool:
    """Whether the same command may be taken later: Redis is away, full, or no longer the primary."""
    # redis-py cuts the first word off the errors that it knows; from inside a script they come in a sentence.
    told = isinstance(error, ResponseError) and any(word in str(error) for word in _PASSING_WORDS)
    return told or isinstance(error, _PASSING)


def any_refusal(error: BaseException) -> bool:
    """Whether it is Redis that refused, or could not be asked: what must be told waits for all of that."""
    return isinstance(error, (RedisError, OSError))


@dataclass(slots=True)
class RedisBatches:
    """The batches of one event loop, over a client of its own; each ends within `timeout_seconds`.

    A command is not taken back when its caller is cancelled. Every method raises RedisError or OSError: its
    own when Redis refuses the command, that of the whole batch when Redis cannot be asked.
    """

    client: redis.asyncio.Redis
    timeout_seconds: float = 5.0
    _commands: Batcher[Words, Any] = field(init=False)
    _connection: AbstractConnection | None = None
    _used_mono: float = float("-inf")

    def __post_init__(self) -> None:
        self._commands = Batcher(self._replies, lambda: _MOST_COMMANDS)

    def command(self, *words: Any) -> asyncio.Future[Any]:
        """Return what will have the reply to one command, given in its words."""
        return self._commands.submit(words)

    async def run(self, script: LuaScript, keys: Sequence[str | bytes], *arguments: Any) -> Any:
        """Return the reply of `script`."""
        try:
            return await self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.command("EVAL", script.text, len(keys), *keys, *arguments)

    async def run_patiently(
        self,
        script: LuaScript,
        keys: Sequence[str | bytes],
        *arguments: Any,
        worth_waiting: Callable[[BaseException], bool] = passes,
        before_waiting: Callable[[RetryCallState], None] | None = None,
    ) -> None:
        """Run `script` again, for as long as it takes, while what it raises is `worth_waiting` for."""
        try:
            # Almost always this is all, and costs a third of what tenacity takes to find that out.
            await self.run(script, keys, *arguments)
        except Exception as error:
            if not worth_waiting(error):
                raise
        else:
            return
        patiently = AsyncRetrying(
            retry=retry_if_exception(worth_waiting),
            wait=wait_exponential_jitter(multiplier=0.05, max=1.0),
            before_sleep=before_waiting,
            reraise=True,
        )
        await patiently(self.run, script, keys, *arguments)

    async def _replies(self, commands: list[Words]) -> Sequence[Any]:
        # redis-py's pipeline does the same in more steps for each command, at twice the CPU.
        pool: Any = self.client.connection_pool
        if self._connection is None:
            async with asyncio.timeout(self.timeout_seconds):
                self._connection = await pool.get_connection()
        connection = self._connection
        try:
            async with asyncio.timeout(self.timeout_seconds):
                if time.monotonic() - self._used_mono > _IDLE_SECONDS:
                    await pool.ensure_connection(connection)
                await connection.send_packed_command(connection.pack_commands(commands))
                replies = [await _reply(connection) for _ in commands]
                self._used_mono = time.monotonic()
                return replies
        except BaseException:
            # What was sent may still be answered: nobody else must read that.
            self._connection = None
            await connection.disconnect(nowait=True)
            await pool.release(connection)
            raise


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as refusal:
        return refusal
