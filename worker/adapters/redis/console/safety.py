"""Says which settings of a Redis could lose the dials or the queue."""

from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ResponseError


@dataclass(frozen=True, slots=True)
class Hazard:
    """One setting of the server that endangers the fleet, its value, and what to do."""

    setting: str
    value: str
    remedy: str


# The results of a spec of 100 jobs, each of up to 1 MiB, with room to spare; Redis's own is four times this.
MOST_BULK_BYTES = 128 * 1024 * 1024


def bulk_bytes(client: redis.Redis) -> int | None:
    """Return the most bytes that the server takes in one argument; None where the role may not ask.

    Raises:
        RedisError: the server did not answer.

    """
    try:
        found: Any = client.config_get("proto-max-bulk-len")
    except ResponseError:
        return None
    return int(found["proto-max-bulk-len"])


def hazards(client: redis.Redis) -> list[Hazard]:
    """Return the server's hazards, none for a safe one. INFO is enough: CONFIG may be forbidden.

    Raises:
        RedisError: the server did not answer.

    """
    info: dict[str, Any] = client.info("everything")
    policy, role = str(info.get("maxmemory_policy")), str(info.get("role"))
    found = []
    if not info.get("maxmemory"):
        remedy = "set it below the memory of the machine or container: at its limit Redis is killed, not full"
        found.append(Hazard("maxmemory", "0", remedy))
    if policy != "noeviction":
        remedy = "set noeviction: any other policy may evict the dials and the queue"
        found.append(Hazard("maxmemory-policy", policy, remedy))
    if not info.get("aof_enabled"):
        found.append(
            Hazard("appendonly", "no", "set yes: a crash would lose the jobs since the last snapshot")
        )
    if role != "master":
        remedy = "name the primary: a replica lags, and refuses what workers write"
        found.append(Hazard("role", role, remedy))
    return found
