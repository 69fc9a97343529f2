"""Ends a script that holds Redis up: until then it answers BUSY to everybody, even to a halt."""

import contextlib
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import ResponseError

from worker.adapters.redis.errors import Cause, cause_of

# Redis ends it at the script's next step, and answers BUSY until then.
_TRIES = 100


def ending_long_script(client: redis.Redis, command: Callable[[], Any]) -> Any:
    """Return the reply to `command`, given by `client`, repeated after ending each script in its way.

    Raises:
        RedisError: what `command` raises; BUSY for a script that has written, which no command ends.

    """
    for _ in range(_TRIES):
        try:
            return command()
        except ResponseError as refusal:
            if cause_of(refusal) is not Cause.BUSY:
                raise
            # No script runs any more, or it has written, or the role may not.
            with contextlib.suppress(ResponseError):
                _end_script(client)
    return command()


def _end_script(client: redis.Redis) -> None:
    connection: Any = client.connection_pool.make_connection()
    # A busy Redis lets nobody SELECT.
    connection.db = 0
    try:
        connection.connect()
        connection.send_command("SCRIPT", "KILL")
        connection.read_response()
    finally:
        connection.disconnect()
