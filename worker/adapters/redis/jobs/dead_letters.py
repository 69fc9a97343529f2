"""Keeps rejected messages in a Redis stream, from where an operator lists, replays or drops them."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self, cast

import redis

from tasks.ports import DeadLetter
from worker.adapters.redis.keys import DEAD
from worker.adapters.redis.scripts import LuaScript

# Entry and queue change together or not at all: a replay cut in half would lose or double the message.
_REPLAY = LuaScript("""
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local fields = {}
for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
redis.call('LPUSH', fields['queue'], fields['message'])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
""")


@dataclass(frozen=True, slots=True)
class RedisDeadLetters:
    """The dead letters of one namespace. Nothing is ever trimmed from them."""

    client: redis.Redis
    namespace: str

    def add(self, queue: str, reason: str, problem: str, task_id: str | None, message: bytes) -> str:
        """Keep the message, byte for byte; return its id, within a transaction "". Raises RedisError."""
        fields: dict[Any, Any] = {
            "queue": queue,
            "reason": reason,
            "problem": problem,
            "task_id": task_id or "",
            "message": message,
        }
        added = self.client.xadd(DEAD(self.namespace), fields)
        return added.decode() if isinstance(added, bytes) else ""

    def within(self, pipe: Any) -> Self:
        """Return the store whose adds are steps of the transaction `pipe`."""
        return dataclasses.replace(self, client=pipe)

    def count(self) -> int:
        """Return how many dead letters there are."""
        return self.client.xlen(DEAD(self.namespace))

    def list(self, limit: int) -> list[DeadLetter]:
        """Return the newest `limit` dead letters, newest first."""
        entries = cast("list[Any]", self.client.xrevrange(DEAD(self.namespace), count=limit))
        return [_dead_letter(entry) for entry in entries]

    def show(self, dead_id: str) -> DeadLetter | None:
        """Return one dead letter, or None."""
        entries = cast("list[Any]", self.client.xrange(DEAD(self.namespace), dead_id, dead_id))
        return _dead_letter(entries[0]) if entries else None

    def replay(self, dead_id: str) -> bool:
        """Put the message back on its queue as it was; False when there is no such dead letter."""
        return bool(_REPLAY.run(self.client, [DEAD(self.namespace)], dead_id))

    def drop(self, dead_id: str) -> bool:
        """Forget the message; False when there is no such dead letter."""
        return bool(self.client.xdel(DEAD(self.namespace), dead_id))


def _dead_letter(entry: tuple[bytes, dict[bytes, bytes]]) -> DeadLetter:
    dead_id, fields = entry[0].decode(), entry[1]
    text = {
        name.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
        for name, value in fields.items()
        if name != b"message"
    }
    return DeadLetter(
        dead_id=dead_id,
        reason=text["reason"],
        problem=text["problem"],
        task_id=text["task_id"] or None,
        queue=text["queue"],
        # A stream id begins with Redis's own clock.
        rejected_wall_ms=int(dead_id.split("-")[0]),
        message=fields[b"message"],
    )
