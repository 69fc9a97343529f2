"""Opens Redis connections that fail fast: a hung server is an answer here, not something to wait for.

Behind Sentinel every new connection asks who is the primary now; Redis closes the old ones when it changes.
"""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from worker.settings.redis_url import SCHEME, SentinelUrl


def open_sync(url: str, *, timeout_seconds: float, max_connections: int = 16) -> redis.Redis:
    """Return a client whose every socket operation ends within `timeout_seconds`. Opens nothing yet."""
    # RESP2 needs no HELLO: one round trip less before the first command of a new connection.
    pool = _pool(url, timeout_seconds, max_connections=max_connections, protocol=2)
    return redis.Redis.from_pool(pool)


def open_connection(url: str, timeout_seconds: float, *, protocol: int) -> Connection:
    """Return one connection of the same temper, outside any pool; `connect` opens it."""
    pool = _pool(url, timeout_seconds, protocol=protocol)
    connection: Connection = pool.make_connection()  # type: ignore[assignment]  # a pool by URL makes these
    # One behind Sentinel knows its pool by a weak reference only.
    connection.owner = pool  # type: ignore[attr-defined]  # kept for its life, read by nobody
    return connection


def open_async(url: str, *, timeout_seconds: float, max_connections: int = 16) -> redis.asyncio.Redis:
    """Return the asyncio client of the same temper. Waits for a free connection up to `timeout_seconds`."""
    options = {
        "timeout": timeout_seconds,
        "retry": AsyncRetry(NoBackoff(), 0),
        "max_connections": max_connections,
        "protocol": 2,
    } | _socket_options(url, timeout_seconds)
    # From the pool, so that closing the client closes its connections.
    if not url.startswith(SCHEME):
        return redis.asyncio.Redis.from_pool(redis.asyncio.BlockingConnectionPool.from_url(url, **options))
    from worker.adapters.redis.sentinel import async_pool  # noqa: PLC0415 - 20 ms that only Sentinel needs

    return redis.asyncio.Redis.from_pool(async_pool(SentinelUrl.parse(url), options))


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
    options |= {"retry": Retry(NoBackoff(), 0)} | _socket_options(url, timeout_seconds)
    if not url.startswith(SCHEME):
        return redis.ConnectionPool.from_url(url, **options)
    from worker.adapters.redis.sentinel import sync_pool  # noqa: PLC0415 - 20 ms that only Sentinel needs

    return sync_pool(SentinelUrl.parse(url), options)


def _socket_options(url: str, timeout_seconds: float) -> dict[str, Any]:
    """Return the options by which every socket operation of `url` ends within `timeout_seconds`."""
    options: dict[str, Any] = {"socket_timeout": timeout_seconds}
    # A Unix socket has neither a connection to wait for nor a peer to keep alive.
    tcp = {"socket_connect_timeout": timeout_seconds, "socket_keepalive": True}
    return options if url.startswith("unix://") else options | tcp
