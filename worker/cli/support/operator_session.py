"""Opens the operator's stores for a command, and turns what they refuse into a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError, redis_errors_refused

if TYPE_CHECKING:
    import redis

    from worker.adapters.redis.console.dials import RedisDials
    from worker.adapters.redis.console.fleet import RedisFleet
    from worker.adapters.redis.jobs.history import RedisHistory
    from worker.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """The stores of one namespace."""

    settings: Settings
    client: redis.Redis
    dials: RedisDials
    fleet: RedisFleet
    history: RedisHistory


@contextmanager
def console() -> Iterator[OperatorSession]:
    """Open the console of the environment's Redis; what goes wrong inside becomes a Refusal."""
    with open_console(load_settings()) as opened:
        yield opened


@contextmanager
def open_console(settings: Settings) -> Iterator[OperatorSession]:
    """Open the console of `settings`; what goes wrong inside becomes a Refusal."""
    from tasks.operations.changes.dials import AuditRefused, DialsMoved  # noqa: PLC0415 - heavy imports wait for the command

    with open_redis(settings) as client, redis_errors_refused(client):
        try:
            yield _console(settings, client)
        except DialsMoved:
            raise CliError(
                "somebody changed a dial since it was read; nothing was changed. "
                "See `slotgen audit`, then try again"
            ) from None
        except AuditRefused as error:
            raise CliError(
                f"the change could not be recorded, so it was not made ({error}); "
                "mend Redis first. `slotgen kill` works all the same"
            ) from None


def _console(settings: Settings, client: redis.Redis) -> OperatorSession:
    from worker.adapters.redis.console.dials import RedisDials  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.console.fleet import RedisFleet  # noqa: PLC0415
    from worker.adapters.redis.jobs.history import RedisHistory  # noqa: PLC0415

    namespace = settings.namespace
    return OperatorSession(
        settings,
        client,
        RedisDials(client, namespace),
        RedisFleet(client, namespace),
        RedisHistory(client, namespace),
    )
