"""Keeps the records of drills in a Redis stream."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, cast

import redis

from tasks.operations.drill import DrillCheck, DrillRecord
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.keys import DRILLS


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
            entries = cast("list[Any]", self.client.xrevrange(self._key, count=1))
        if not entries:
            return None
        fields = json.loads(entries[0][1][b"d"])
        return DrillRecord(**(fields | {"checks": tuple(DrillCheck(**each) for each in fields["checks"])}))

    @property
    def _key(self) -> str:
        return DRILLS(self.namespace, self.target)
