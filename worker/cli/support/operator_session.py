"""Opens the operator's stores for a command, and turns what they refuse into a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from tasks.errors import StoreUnavailable
from tasks.operations.changes.changing import Situation
from tasks.operations.changes.dials import AuditRefused, DialsMoved
from tasks.operations.probes import is_probe
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.errors import Cause, RedisUnavailable, unavailable
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.history import RedisHistory
from worker.adapters.redis.keys import AUDIT
from worker.adapters.redis.wrong_keys import at_hand, scan
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError
from worker.cli.support.terminal import say
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
        past = self.history.since(wall_ms - _DAY_MS, _OUTCOMES)
        # What preflight and drill have sent says nothing of what producers send.
        outcomes = [each for each in past if not is_probe(each.subject)]
        recent = self.dials.audit(_CHANGES)
        seconds = self.settings.observation_seconds
        if len(recent) == _CHANGES and recent[-1].wall_ms > wall_ms - seconds * 1000:
            recent = self.dials.audit(_MOST_CHANGES)
        return Situation(dials, recent, outcomes, wall_ms, seconds)


@contextmanager
def open_session(settings: Settings | None = None, *, warns: bool = True) -> Iterator[OperatorSession]:
    """Open the stores of `settings`, or of the environment; what goes wrong inside becomes a CliError.

    With `warns` it names on stderr what does not belong into a key, and the command that clears it.
    """
    settings = settings or load_settings()
    try:
        with open_redis(settings) as client, _names_the_key(client, settings.namespace), unavailable(client):
            place = client, settings.namespace
            if warns:
                warn_of_wrong_keys(*place)
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


def warn_of_wrong_keys(client: redis.Redis, namespace: str) -> None:
    """Name on stderr what does not belong into a key. Raises StoreUnavailable."""
    if wrong := at_hand(client, namespace):
        say(*map(str, wrong), err=True)


@contextmanager
def _names_the_key(client: redis.Redis, namespace: str) -> Iterator[None]:
    """Say which key it is, where Redis says only that one is of another type."""
    try:
        yield
    except RedisUnavailable as error:
        if error.cause is not Cause.WRONG_TYPE:
            raise
        wrong, _ = scan(client, namespace)
        raise StoreUnavailable("\n".join(map(str, wrong)) or str(error)) from None
