"""Opens the Redis of a command."""

import contextlib
from typing import Any

import redis

from worker.adapters.redis.clients import open_sync
from worker.cli.support.errors import refuses
from worker.cli.support.terminal import say
from worker.settings import settings as environment
from worker.settings.settings import Settings


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment under `overrides`, or refuse with one line for each bad one."""
    with refuses(environment.BadSetting):
        return environment.load(**overrides)


def load_settings_to_halt(**overrides: Any) -> Settings:
    """Return the settings under `overrides`, refusing those alone that a halt needs; the others are said."""
    with refuses(environment.BadSetting):
        settings, ignored = environment.load_to_halt(**overrides)
    # Whatever becomes of what is said: the halt comes next.
    with contextlib.suppress(OSError):
        for line in ignored:
            say(f"ignored, as a halt does not need it: {line}", err=True)
    return settings


def open_redis(settings: Settings) -> redis.Redis:
    """Return a client for the settings' Redis; connects with its first command."""
    return open_sync(settings.redis_url)
