"""Opens the operator's stores for a command, and turns what they refuse into a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from tasks.errors import StoreUnavailable
from tasks.operations.changes.changing import Situation
from tasks.operations.changes.dials import AuditRefused, DialsMoved
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.errors import unavailable
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.history import RedisHistory
from worker.adapters.redis.keys import AUDIT
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError
from worker.settings.settings import Settings

_DAY_MS = 86_400_000
# What an estimate is made from, and how far back the one-dimension rule sees; further where that many changes
# were made within its window.
_OUTCOMES = 5_000
_CHANGES = 500
_MOST_CHANGES = AUDIT.kept


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """The stores of one namespace."""

    settings: Settings
    client: redis.Redis
    dials: RedisDials
    fleet: RedisFleet
    history: RedisHistory
    dead_letters: RedisDeadLetters

    def situation(self) -> Situation:
        """Return what a change of a dial is judged by at this moment. Raises StoreUnavailable."""
        dials, wall_ms = self.dials.read(), self.history.now_ms()
        outcomes = self.history.since(wall_ms - _DAY_MS, _OUTCOMES)
        recent = self.dials.audit(_CHANGES)
        seconds = self.settings.observation_seconds
        if len(recent) == _CHANGES and recent[-1].wall_ms > wall_ms - seconds * 1000:
            recent = self.dials.audit(_MOST_CHANGES)
        return Situation(dials, recent, outcomes, wall_ms, seconds)


@contextmanager
def open_session(settings: Settings | None = None) -> Iterator[OperatorSession]:
    """Open the stores of `settings`, or of the environment; what goes wrong inside becomes a CliError."""
    settings = settings or load_settings()
    try:
        with open_redis(settings) as client, unavailable(client):
            place = client, settings.namespace
            yield OperatorSession(
                settings,
                client,
                RedisDials(*place),
                RedisFleet(*place),
                RedisHistory(*place),
                RedisDeadLetters.of(client, settings),
            )
    except StoreUnavailable as error:
        raise CliError(str(error)) from None
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
