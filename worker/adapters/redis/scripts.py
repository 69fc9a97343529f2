"""Runs Lua scripts on a thread's client; on an event loop `RedisBatches` does."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import NoScriptError

# On one line with what follows, so that an error's line number is the script's own.
_GIVEN = "local n = tonumber(ARGV[1]); local KEYS, ARGV = {unpack(ARGV, 2, n + 1)}, {unpack(ARGV, n + 2)};"


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua script, and the digest by which Redis knows it after its first run.

    Redis 7 asks of EVAL the right to read and to write every key that is declared to it; a worker may read
    the dials, and not write them. With `declares_keys=False` each command of the script is judged by itself.
    Redis Cluster, the one that needs declared keys, is not supported by Celery's transport.
    """

    text: str
    declares_keys: bool = True
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.declares_keys:
            object.__setattr__(self, "text", _GIVEN + self.text)
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False)
        object.__setattr__(self, "sha", digest.hexdigest())

    def run(self, client: redis.Redis, keys: Sequence[str | bytes], *arguments: Any) -> Any:
        """Return the reply: one command, and once more with the text where Redis has none of that digest.

        Raises what a plain command raises.
        """
        words = self.words(keys, arguments)
        try:
            return client.evalsha(self.sha, *words)
        except NoScriptError:
            return client.eval(self.text, *words)

    def words(self, keys: Sequence[str | bytes], arguments: Sequence[Any]) -> list[Any]:
        """Return the words of EVAL and EVALSHA after the script."""
        counts = [len(keys)] if self.declares_keys else [0, len(keys)]
        return [*counts, *keys, *arguments]
