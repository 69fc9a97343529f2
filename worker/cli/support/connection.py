"""Opens the Redis of a console command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.cli.support.errors import CliError

if TYPE_CHECKING:
    import redis

    from worker.settings.settings import Settings


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment under `overrides`, or refuse with one line for each bad one."""
    from worker.settings import settings  # noqa: PLC0415 - heavy imports wait for the command

    try:
        return settings.load(**overrides)
    except settings.BadSetting as error:
        raise CliError(str(error)) from None


def open_redis(settings: Settings) -> redis.Redis:
    """Return a client for the settings' Redis; connects with its first command."""
    from worker.adapters.redis.clients import open_sync  # noqa: PLC0415 - heavy imports wait for the command

    return open_sync(settings.redis_url)
