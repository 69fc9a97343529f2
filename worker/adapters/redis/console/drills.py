"""Keeps the records of drills in a Redis stream."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, cast

import redis

from tasks.operations.drill import DrillCheck, DrillRecord
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import DRILLS
from worker.adapters.redis.records import as_record

# What is none of ours is passed over.
_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class RedisDrills:
    """The newest 1,000 records of a target, `brake` or `guard`."""

    client: redis.Redis
    namespace: str
    target: str = "brake"

    def add(self, record: DrillRecord) -> None:
        """Keep the record. Raises StoreUnavailable."""
        entry: dict[Any, Any] = {"d": json.dumps(dataclasses.asdict(record))}
        with unavailable(self.client):
            self.client.xadd(self._key, entry, maxlen=DRILLS.kept, approximate=True)

    def last(self) -> DrillRecord | None:
        """Return the newest record, or None. Raises StoreUnavailable."""
        with unavailable(self.client):
            entries = cast("list[Any]", self.client.xrevrange(self._key, count=_LOOKED_AT))
        return next((found for _, fields in entries if (found := _record(fields))), None)

    @property
    def _key(self) -> str:
        return DRILLS(self.namespace, self.target)


def _record(fields: dict[bytes, bytes]) -> DrillRecord | None:
    try:
        document = json.loads(fields[b"d"])
        checks = tuple(as_record(DrillCheck, each) for each in document["checks"])
        return as_record(DrillRecord, document | {"checks": checks})
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
