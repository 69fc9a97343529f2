"""Runs Lua scripts, and lets one name keys that its caller may only read.

Redis 7 asks of EVAL the right to read and to write every key that is declared to it; a worker may read the
dials, and not write them. Of an undeclared key each command of the script is judged by itself. Redis Cluster,
the one that needs declared keys, is not supported by Celery's transport.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

_WRAPPED = {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua script, and the digest by which Redis knows it after its first run."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False)
        object.__setattr__(self, "sha", digest.hexdigest())


def undeclared(script: str, keys: int) -> str:
    """Return `script` for an EVAL that declares no keys: its first `keys` arguments are its KEYS."""
    given = f"{{unpack(ARGV, 1, {keys})}}, {{unpack(ARGV, {keys + 1})}}"
    # On one line, so that an error's line number is the script's own.
    return f"local KEYS, ARGV = {given};{script}"


def run(client: redis.Redis, script: LuaScript, keys: Sequence[str | bytes], *arguments: Any) -> Any:
    """Run `script` in one command, and once more with its text when Redis does not know it; return its reply.

    Raises:
        OutOfMemoryError, ReadOnlyError: as for a plain command; Redis 6 wraps them in an error of the script.

    """
    try:
        return _evaluated(client, script, keys, arguments)
    except ResponseError as error:
        text = str(error)
        wrapped = next((kind for word, kind in _WRAPPED.items() if f"-{word} " in text), None)
        if wrapped:
            raise wrapped(text) from error
        raise


def _evaluated(
    client: redis.Redis, script: LuaScript, keys: Sequence[str | bytes], arguments: Sequence[Any]
) -> Any:
    try:
        return client.evalsha(script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.eval(script.text, len(keys), *keys, *arguments)
