"""Runs Lua scripts on a thread's client; on an event loop `RedisBatches` does."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import NoScriptError


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua script, and the digest by which Redis knows it after its first run.

    Redis judges each command of a script by the rights of the role that runs it.
    """

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False)
        object.__setattr__(self, "sha", digest.hexdigest())

    def run(self, client: redis.Redis, keys: Sequence[str | bytes], *arguments: Any) -> Any:
        """Return the reply: one command, and a second one with the text if Redis does not know the digest.

        Raises what a plain command raises.
        """
        words = self.words(keys, arguments)
        try:
            return client.evalsha(self.sha, *words)
        except NoScriptError:
            return client.eval(self.text, *words)

    def words(self, keys: Sequence[str | bytes], arguments: Sequence[Any]) -> list[Any]:
        """Return the words of EVAL and EVALSHA after the script."""
        return [len(keys), *keys, *arguments]
