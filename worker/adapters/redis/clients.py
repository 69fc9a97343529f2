"""Opens every connection of ours to Redis; a hung server is an answer here, not something to wait for.

| who | opened by | a command ends within | connections |
| --- | --- | --- | --- |
| operators, producers, a worker's threads | `open_sync` | 5 s; for the dials 0.25 s | one a thread |
| the job path, on its event loop | `open_async` | 5 s | one, which `RedisBatches` shares |
| the watch of the kill switch | `open_connection` | 0.25 s | that one; Redis writes to it unasked |
| Celery's consumer, which waits for messages | kombu, by `CONSUMER_OPTIONS` | 10 s | two |

None retries by itself: who must not give up says so. Behind Sentinel every new connection asks who is the
primary now; Redis closes the old ones when it changes.
"""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from worker.settings.redis_url import SCHEME, SentinelUrl

# Everything but the dials may take this long: answers, budget, dead letters.
TIMEOUT_SECONDS = 5.0
# A half-open connection is noticed in seconds; kombu's defaults took over 95 s.
CONSUMER_OPTIONS = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 5,
}
# A connection for each thread that is at it at the same time, however many those are.
_MANY = 10_000


def open_sync(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """Return a client whose every socket operation ends within `timeout_seconds`. Opens nothing yet."""
    # RESP2 needs no HELLO: one round trip less before the first command of a new connection.
    return redis.Redis.from_pool(_pool(url, timeout_seconds, max_connections=_MANY, protocol=2))


def open_async(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.asyncio.Redis:
    """Return the same for an event loop."""
    options = _options(url, timeout_seconds) | {"retry": AsyncRetry(NoBackoff(), 0), "protocol": 2}
    # From the pool, so that closing the client closes its connections.
    if not url.startswith(SCHEME):
        return redis.asyncio.Redis.from_pool(redis.asyncio.ConnectionPool.from_url(url, **options))
    from worker.adapters.redis.sentinel import async_pool  # noqa: PLC0415 - 20 ms that only Sentinel needs

    return redis.asyncio.Redis.from_pool(async_pool(SentinelUrl.parse(url), options))


def open_connection(url: str, timeout_seconds: float, *, protocol: int) -> Connection:
    """Return one connection of the same temper, outside any pool; `connect` opens it."""
    pool = _pool(url, timeout_seconds, protocol=protocol)
    connection: Connection = pool.make_connection()  # type: ignore[assignment]  # a pool by URL makes these
    # One behind Sentinel knows its pool by a weak reference only.
    connection.owner = pool  # type: ignore[attr-defined]  # kept for its life, read by nobody
    return connection


def address_of(client: Any) -> str:
    """Return the Redis that `client` speaks to, as a URL without user, password and options."""
    pool = client.connection_pool
    options = pool.connection_kwargs
    if "path" in options:
        return f"unix://{options['path']}"
    db = options.get("db", 0)
    if hasattr(pool, "sentinel_manager"):
        each = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
        hosts = ",".join(f"{options['host']}:{options['port']}" for options in each)
        return f"{SCHEME}{hosts}/{pool.service_name}/{db}"
    tls = issubclass(pool.connection_class, (redis.SSLConnection, redis.asyncio.SSLConnection))
    return f"{'rediss' if tls else 'redis'}://{options.get('host')}:{options.get('port', 6379)}/{db}"


def _pool(url: str, timeout_seconds: float, **options: Any) -> redis.ConnectionPool:
    # Without the explicit Retry redis-py would turn one read of a hung server into 6.9 s.
    options |= _options(url, timeout_seconds) | {"retry": Retry(NoBackoff(), 0)}
    if not url.startswith(SCHEME):
        return redis.ConnectionPool.from_url(url, **options)
    from worker.adapters.redis.sentinel import sync_pool  # noqa: PLC0415 - 20 ms that only Sentinel needs

    return sync_pool(SentinelUrl.parse(url), options)


def _options(url: str, timeout_seconds: float) -> dict[str, Any]:
    """Return the options by which every socket operation of `url` ends within `timeout_seconds`."""
    options: dict[str, Any] = {"socket_timeout": timeout_seconds}
    # A Unix socket has neither a connection to wait for nor a peer to keep alive.
    tcp = {"socket_connect_timeout": timeout_seconds, "socket_keepalive": True}
    return options if url.startswith("unix://") else options | tcp
