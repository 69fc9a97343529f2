"""Pools of connections to whichever Redis the Sentinels name as primary."""

from typing import Any

import redis.asyncio.sentinel
import redis.sentinel

from worker.settings.redis_url import SentinelUrl

_SENTINEL_OPTIONS = ("retry", "socket_timeout", "socket_connect_timeout", "socket_keepalive")


def sync_pool(url: SentinelUrl, options: dict[str, Any]) -> redis.ConnectionPool:
    """Return the pool for threads; `options` are those of its connections."""
    sentinels = redis.sentinel.Sentinel(url.hosts, sentinel_kwargs=_for_sentinels(url, options))
    return redis.sentinel.SentinelConnectionPool(url.service, sentinels, **_for_redis(url, options))


def async_pool(url: SentinelUrl, options: dict[str, Any]) -> redis.asyncio.ConnectionPool:
    """Return the pool for one event loop; `options` are those of its connections."""
    sentinels = redis.asyncio.sentinel.Sentinel(url.hosts, sentinel_kwargs=_for_sentinels(url, options))
    return redis.asyncio.sentinel.SentinelConnectionPool(url.service, sentinels, **_for_redis(url, options))


def _for_redis(url: SentinelUrl, options: dict[str, Any]) -> dict[str, Any]:
    return options | url.credentials | {"db": url.db}


def _for_sentinels(url: SentinelUrl, options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _SENTINEL_OPTIONS} | url.sentinel_credentials
