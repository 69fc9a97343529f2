"""Keeps the latest outcomes in a Redis stream, written beside the job path, never in it."""

import dataclasses
import json
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from gates import Subject
from tasks.generate.outcome import OutcomeRecord
from worker.adapters.redis.cut import cut
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import HISTORY, HISTORY_WRITTEN
from worker.adapters.redis.records import as_record
from worker.adapters.redis.scripts import LuaScript

_BATCH = 500
# What waits for a Redis that is away; beyond it the oldest are given up, and counted.
_WAITING_KEPT = 20_000
_SUBJECT = tuple(each.name for each in dataclasses.fields(Subject))
# In the stream an outcome is one JSON list: the subject's fields, then these. Names in each of 50,000 entries
# would double its size. Readers of another version leave out an entry of another length. A long name is cut.
_NAME_BYTES = 128
_FIELDS = (
    "task_id",
    "output_type",
    "status",
    "error_code",
    "path",
    "latency_ms",
    "cached",
    "attempts",
    "cost_nano_usd",
    "gate",
    "rule_id",
    "policy_hash",
    "executor_version",
    "worker_id",
    "telemetry_valid",
    "policy_rule",
)

# A batch that Redis took and answered too late is sent again: KEYS[2] has the number of the last one that was
# written, so that none counts twice. An hour outlives any copy that is still under way.
_WRITE = LuaScript(f"""
local written = tonumber(redis.call('MGET', KEYS[2])[1] or '') or 0
-- A copy is late by a few batches; a number far beyond is none of this writer's.
if tonumber(ARGV[1]) <= written and written - tonumber(ARGV[1]) < 1000 then return end
for i = 3, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'o', ARGV[i]) end
redis.call('SET', KEYS[2], ARGV[1], 'EX', {HISTORY_WRITTEN.seconds})
""")


@dataclass(slots=True)
class HistoryWriter:
    """Keeps outcomes until `flush` writes them in batches; `add` costs the job a microsecond.

    `kept` bounds the stream. `count_dropped(number)` hears of what Redis could not take.
    """

    client: redis.Redis
    namespace: str
    kept: int
    count_dropped: Callable[[int], None]
    _waiting: deque[OutcomeRecord] = field(default_factory=lambda: deque(maxlen=_WAITING_KEPT))
    _batch: list[OutcomeRecord] = field(default_factory=list)
    _batch_number: int = 0
    _writer_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def add(self, outcome: OutcomeRecord) -> None:
        """Take note of one outcome."""
        if len(self._waiting) == _WAITING_KEPT:
            self.count_dropped(1)
        self._waiting.append(outcome)

    def flush(self) -> None:
        """Write what waits, in one thread. Raises RedisError; the next call tries the same again."""
        keys = (HISTORY(self.namespace), HISTORY_WRITTEN(self.namespace, self._writer_id))
        while self._batch or self._waiting:
            if not self._batch:
                self._batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                self._batch_number += 1
            entries = [_entry(each) for each in self._batch]
            _WRITE.run(self.client, keys, self._batch_number, self.kept, *entries)
            self._batch = []


@dataclass(frozen=True, slots=True)
class RedisHistory:
    """Reads the stream; entries that another version wrote are left out."""

    client: redis.Redis
    namespace: str

    def since(self, wall_ms: int, limit: int) -> list[OutcomeRecord]:
        """Return the newest `limit` outcomes at or after `wall_ms`, oldest first. Raises StoreUnavailable."""
        with unavailable(self.client):
            entries = cast("list[Any]", self.client.xrevrange(self._key, "+", str(wall_ms), count=limit))
        return _outcomes(reversed(entries))

    def follow(self, after_id: str, block_seconds: float) -> list[OutcomeRecord]:
        """Return what came after entry `after_id` ("$": from now on), waiting up to `block_seconds`.

        The client's own timeout must be longer.

        Raises:
            StoreUnavailable: Redis did not answer.

        """
        with unavailable(self.client):
            read = self.client.xread({self._key: after_id}, count=_BATCH, block=int(block_seconds * 1000))
        streams = cast("list[Any]", read)
        return _outcomes(streams[0][1]) if streams else []

    def now_ms(self) -> int:
        """Return the time by Redis's clock. Raises StoreUnavailable."""
        with unavailable(self.client):
            seconds, micros = self.client.time()
        return seconds * 1000 + micros // 1000

    def oldest_ms(self) -> int | None:
        """Return when the oldest outcome ended, None for an empty history. Raises StoreUnavailable."""
        with unavailable(self.client):
            entries = cast("list[Any]", self.client.xrange(self._key, count=1))
        return _wall_ms(entries[0][0]) if entries else None

    @property
    def _key(self) -> str:
        return HISTORY(self.namespace)


def as_kept(name: str) -> str:
    """Return what the history has of a name: the whole but for one of more than 128 bytes."""
    return cut(name, _NAME_BYTES)


def _entry(outcome: OutcomeRecord) -> bytes:
    values = [getattr(outcome.subject, name) for name in _SUBJECT]
    values += [getattr(outcome, name) for name in _FIELDS]
    kept = [as_kept(each) if isinstance(each, str) else each for each in values]
    return json.dumps(kept, ensure_ascii=False).encode(errors="surrogatepass")


def _outcomes(entries: Any) -> list[OutcomeRecord]:
    return [found for entry in entries if (found := _outcome(*entry))]


def _outcome(entry_id: bytes, fields: dict[bytes, bytes]) -> OutcomeRecord | None:
    try:
        values = json.loads(fields[b"o"])
        subject = dict(zip(_SUBJECT, values, strict=False))
        rest = dict(zip(_FIELDS, values[len(_SUBJECT) :], strict=True))
        place = {"entry_id": entry_id.decode(), "wall_ms": _wall_ms(entry_id)}
        return as_record(OutcomeRecord, place | rest | {"subject": as_record(Subject, subject)})
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _wall_ms(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
