"""Keeps rejected messages in a Redis stream, from where an operator lists, replays or drops them."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self, cast

import redis

from tasks.generate.intake import MessageLimits, size_and_head
from tasks.ports import DeadLetter
from worker.adapters.redis.cut import cut
from worker.adapters.redis.keys import DEAD
from worker.adapters.redis.scripts import LuaScript
from worker.settings.settings import Settings

_FIELDS = Settings.model_fields
_HEAD_BYTES = 4096
_WORDS_BYTES = 2048
_AT_ONCE = 10
# ARGV: how many letters are kept, their bytes in all, for how many seconds. The oldest go first; the last one
# of all goes by its age alone. Redis's own account of the bytes holds whoever adds or deletes.
_TRIM = LuaScript(f"""
local over = (redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 0) or 0) - tonumber(ARGV[2])
local dropped = 0
local since_ms = (redis.call('TIME')[1] - tonumber(ARGV[3])) * 1000
while dropped < {_AT_ONCE} do
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not oldest then break end
  local number = redis.call('XLEN', KEYS[1])
  local aged = tonumber(string.match(oldest[1], '^%d+')) < since_ms
  if not (aged or number > tonumber(ARGV[1]) or (over > 0 and number > 1)) then break end
  redis.call('XDEL', KEYS[1], oldest[1])
  dropped = dropped + 1
  for _, word in ipairs(oldest[2]) do over = over - #word end
end
return dropped
""")
# Entry and queue change together or not at all: a replay cut in half would lose or double the message.
_REPLAY = LuaScript("""
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local fields = {}
for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
if fields['sha256'] or not (fields['queue'] and fields['message']) then return 0 end
redis.call('LPUSH', fields['queue'], fields['message'])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
""")


def _ignore(_: int) -> None:
    """Ignore the number: the workers count."""


@dataclass(frozen=True, slots=True)
class RedisDeadLetters:
    """The dead letters of one namespace: the newest `kept`, of `kept_bytes` in all, each for `kept_seconds`.

    The oldest make room, and `count_dropped(number)` hears of it. Of a message of more than `whole_bytes`,
    which no worker would be given, the head and the digest are kept.
    """

    client: redis.Redis
    namespace: str
    kept: int = _FIELDS["dead_letters"].default
    kept_bytes: int = _FIELDS["dead_letter_bytes"].default
    kept_seconds: int = _FIELDS["dead_letter_seconds"].default
    whole_bytes: int = MessageLimits().most_bytes
    count_dropped: Callable[[int], None] = _ignore

    @classmethod
    def of(
        cls, client: redis.Redis, settings: Settings, count_dropped: Callable[[int], None] = _ignore
    ) -> Self:
        """Return the store with the bounds of `settings`."""
        return cls(
            client,
            settings.namespace,
            settings.dead_letters,
            settings.dead_letter_bytes,
            settings.dead_letter_seconds,
            MessageLimits(settings.max_message_bytes).most_bytes,
            count_dropped,
        )

    def add(self, queue: str, reason: str, problem: str, task_id: str | None, message: bytes) -> str:
        """Keep the message; return its id, within a transaction "". Raises RedisError."""
        fields: dict[Any, Any] = {
            "queue": queue,
            "reason": reason,
            "problem": cut(problem, _WORDS_BYTES),
            "task_id": cut(task_id or "", _WORDS_BYTES),
            "message": message,
        }
        size_bytes, head = size_and_head(message)
        if size_bytes > self.whole_bytes:
            digest = hashlib.sha256(head).hexdigest()
            fields |= {"message": head[:_HEAD_BYTES], "size": size_bytes, "sha256": digest}
        added = self.client.xadd(DEAD(self.namespace), fields)
        if not isinstance(added, bytes):
            return ""  # trimmed by the next, or the next `trim`
        self.trim()
        return added.decode()

    def trim(self) -> None:
        """Drop what is too much or too old, a few at a time. Raises RedisError."""
        dropped = _TRIM.run(
            self.client, [DEAD(self.namespace)], self.kept, self.kept_bytes, self.kept_seconds
        )
        if dropped:
            self.count_dropped(dropped)

    def filled(self) -> float:
        """Return how full the store is, by the nearest of its bounds: from 1.0 on the oldest are dropped.

        Raises RedisError.
        """
        key = DEAD(self.namespace)
        size_bytes = self.client.memory_usage(key, samples=0) or 0
        return max(self.client.xlen(key) / self.kept, size_bytes / self.kept_bytes)

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

    def walk(self) -> Iterator[DeadLetter]:
        """Yield every dead letter, oldest first, up to those that are there now."""
        newest, after = self.list(1), "-"
        while newest:
            entries = cast(
                "list[Any]",
                self.client.xrange(DEAD(self.namespace), after, newest[0].dead_id, count=_AT_ONCE),
            )
            yield from map(_dead_letter, entries)
            if not entries:
                return
            after = f"({entries[-1][0].decode()}"

    def show(self, dead_id: str) -> DeadLetter | None:
        """Return one dead letter, or None."""
        entries = cast("list[Any]", self.client.xrange(DEAD(self.namespace), dead_id, dead_id))
        return _dead_letter(entries[0]) if entries else None

    def replay(self, dead_id: str) -> bool:
        """Put the message back on its queue as it was; False if it is gone, or was not kept whole."""
        return bool(_REPLAY.run(self.client, [DEAD(self.namespace)], dead_id))

    def drop(self, dead_id: str) -> bool:
        """Delete the message; False if there is no such dead letter."""
        return bool(self.client.xdel(DEAD(self.namespace), dead_id))


def _dead_letter(entry: tuple[bytes, dict[bytes, bytes]]) -> DeadLetter:
    dead_id, fields = entry[0].decode(), entry[1]
    # An entry that somebody else put there is shown, and dropped, like any other.
    foreign = dict.fromkeys(("problem", "task_id", "queue"), "") | {"reason": "unreadable"}
    message = fields.get(b"message", b"")
    text = foreign | {
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
        message=message,
        size_bytes=int(text["size"]) if re.fullmatch(r"[0-9]{1,15}", text.get("size", "")) else len(message),
        sha256=text.get("sha256"),
    )
