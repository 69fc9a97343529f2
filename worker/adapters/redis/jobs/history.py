"""Keeps the latest outcomes in a Redis stream; each is written with its result, in one step."""

import dataclasses
import json
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, cast

import redis

from gates import Subject
from tasks.generate.outcome import OutcomeRecord
from worker.adapters.redis.cut import cut
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import HISTORY
from worker.adapters.redis.records import as_record

_BATCH = 500
_SUBJECT = tuple(each.name for each in dataclasses.fields(Subject))
# In the stream an outcome is one JSON list: the subject's fields, then these. Field names in each of 50,000
# entries would double its size. Readers skip an entry of another length, which another version wrote. A long
# name is cut.
_NAME_BYTES = 128
# As JSON a character takes at most six bytes.
_SHORT = (_NAME_BYTES - 2) // 6
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
_subject_values, _values = attrgetter(*_SUBJECT), attrgetter(*_FIELDS)
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(slots=True)
class OutcomeEntries:
    """The outcomes of tasks that have not ended, as entries of the stream; results.py writes them."""

    _by_task: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, outcome: OutcomeRecord) -> None:
        """Take note of one outcome."""
        self._by_task.setdefault(outcome.task_id, []).append(_entry(outcome))

    def of(self, task_id: str) -> list[bytes]:
        """Return the entries of one task, in the order of their outcomes."""
        return self._by_task.get(task_id, [])

    def forget(self, task_id: str) -> None:
        """Forget the entries of a task that has ended, or goes back to the queue."""
        self._by_task.pop(task_id, None)


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
    """Return a name as the history has it: whole, unless it has more than 128 bytes."""
    return cut(name, _NAME_BYTES)


def _entry(outcome: OutcomeRecord) -> bytes:
    values = (*_subject_values(outcome.subject), *_values(outcome))
    # Of a name that is so short no character has to be looked at: 20 for each outcome.
    kept = [as_kept(each) if isinstance(each, str) and len(each) > _SHORT else each for each in values]
    return _encode(kept).encode(errors="surrogatepass")


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
