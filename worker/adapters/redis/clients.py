"""Opens all our connections to Redis; a hung server counts as an answer, not as something to wait for.

| who | opened by | a command ends within | connections |
| --- | --- | --- | --- |
| operators, producers, a worker's threads | `open_sync` | 5 s; for the dials 0.25 s | one a thread |
| the job path, on its event loop | `open_async` | 5 s | one, which `RedisBatches` shares |
| the watch of the kill switch | `open_connection` | 0.25 s | one that Redis writes to unasked, or two |
| Celery's consumer, which waits for messages | kombu, by `CONSUMER_OPTIONS` | 10 s | two |

None retries by itself: callers that must not give up say so. Behind Sentinel every new connection asks for
the current primary; Redis closes the old ones when it changes.
"""

from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
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
# Without it redis-py would turn one read of a hung server into 6.9 s.
_ONCE = Retry(NoBackoff(), 0)
_SENTINEL_OPTIONS = ("retry", "socket_timeout", "socket_connect_timeout", "socket_keepalive")
# A connection for each thread using it at the same time, however many there are.
_MANY = 10_000


def open_sync(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """Return a client whose every socket operation ends within `timeout_seconds`. Opens nothing yet."""
    # RESP2 needs no HELLO: one round trip less before the first command of a new connection.
    options = {"retry": _ONCE, "max_connections": _MANY, "protocol": 2}
    return redis.Redis.from_pool(_pool(redis, url, timeout_seconds, options))


def open_async(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.asyncio.Redis:
    """Return the same for an event loop."""
    options = {"retry": AsyncRetry(NoBackoff(), 0), "protocol": 2}
    # From the pool, so that closing the client closes its connections.
    return redis.asyncio.Redis.from_pool(_pool(redis.asyncio, url, timeout_seconds, options))


def open_connection(url: str, timeout_seconds: float, *, protocol: int) -> Connection:
    """Return one connection with the same timeouts, outside any pool; `connect` opens it."""
    pool = _pool(redis, url, timeout_seconds, {"retry": _ONCE, "protocol": protocol})
    connection: Connection = pool.make_connection()
    # One behind Sentinel knows its pool by a weak reference only.
    connection.owner = pool  # type: ignore[attr-defined]  # kept alive, never read
    return connection


def address_of(client: Any) -> str:
    """Return the Redis that `client` speaks to, as a URL without user, password and options."""
    pool = client.connection_pool
    options = pool.connection_kwargs
    if "path" in options:
        return f"unix://{options['path']}"
    db = database_of(client)
    if hasattr(pool, "sentinel_manager"):
        each = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
        hosts = ",".join(f"{options['host']}:{options['port']}" for options in each)
        return f"{SCHEME}{hosts}/{pool.service_name}/{db}"
    tls = issubclass(pool.connection_class, (redis.SSLConnection, redis.asyncio.SSLConnection))
    return f"{'rediss' if tls else 'redis'}://{options.get('host')}:{options.get('port', 6379)}/{db}"


def database_of(client: Any) -> int:
    """Return the number of the database that `client` speaks to."""
    return int(client.connection_pool.connection_kwargs.get("db", 0))


def user_of(client: Any) -> str:
    """Return the Redis user as which `client` logs in."""
    return client.connection_pool.connection_kwargs.get("username") or "default"


def _pool(library: Any, url: str, timeout_seconds: float, options: dict[str, Any]) -> Any:
    """Return the pool of `redis` or `redis.asyncio`; behind Sentinel, to whichever Redis is the primary."""
    options |= {"socket_timeout": timeout_seconds}
    if not url.startswith("unix://"):
        # A Unix socket has neither a connection to wait for nor a peer to keep alive.
        options |= {"socket_connect_timeout": timeout_seconds, "socket_keepalive": True}
    if not url.startswith(SCHEME):
        return library.ConnectionPool.from_url(url, **options)
    parsed = SentinelUrl.parse(url)
    theirs = {name: options[name] for name in _SENTINEL_OPTIONS} | parsed.sentinel_credentials
    sentinels = library.sentinel.Sentinel(parsed.hosts, sentinel_kwargs=theirs)
    ours = options | parsed.credentials | {"db": parsed.db}
    return library.sentinel.SentinelConnectionPool(parsed.service, sentinels, **ours)
