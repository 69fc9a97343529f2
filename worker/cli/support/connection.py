"""Opens the Redis of a command."""

from typing import Any

import redis

from worker.adapters.redis.clients import open_sync
from worker.cli.support.errors import refuses
from worker.settings import settings as environment
from worker.settings.settings import Settings


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment under `overrides`, or refuse with one line for each bad one."""
    with refuses(environment.BadSetting):
        return environment.load(**overrides)


def open_redis(settings: Settings) -> redis.Redis:
    """Return a client for the settings' Redis; connects with its first command."""
    return open_sync(settings.redis_url)
