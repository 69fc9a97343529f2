"""Shows the cooldowns of the fleet, as an operator handles them; `RedisDials.clear` ends one."""

from typing import cast

import redis

from tasks.operations.cooldown import Cooldown
from worker.adapters.redis.keys import COOLDOWN

_AT_ONCE = 10_000
_LONGEST_NUMBER = 15


def cooldowns(client: redis.Redis, namespace: str, longest_seconds: int) -> list[Cooldown]:
    """Return those that hold, by the names of their models. Raises RedisError.

    Workers cut one that would hold for longer than `longest_seconds`.
    """
    seconds, micros = client.time()
    now_wall_ms = seconds * 1000 + micros // 1000
    begin = len(COOLDOWN(namespace, ""))
    found = []
    for key in sorted(cast("set[bytes]", set(client.scan_iter(COOLDOWN.glob(namespace), count=_AT_ONCE)))):
        left_ms = client.pttl(key)
        since = client.getrange(key, 0, _LONGEST_NUMBER) if client.type(key) == b"string" else b""
        if left_ms == -2:  # noqa: PLR2004 - Redis's word for a key that is gone
            continue
        left_seconds = min(left_ms / 1000, longest_seconds) if left_ms >= 0 else longest_seconds
        since_wall_ms = int(since) * 1000 if since.isdigit() else None
        if since_wall_ms is not None and since_wall_ms > now_wall_ms:
            since_wall_ms = None
        model = key[begin:].decode(errors="backslashreplace")
        found.append(Cooldown(model, left_seconds, now_wall_ms, since_wall_ms))
    return found
