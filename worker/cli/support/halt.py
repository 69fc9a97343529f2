"""The halt of a command: `slotgen kill` imports it when it is done, its help without."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from tasks.errors import StoreUnavailable
from worker.adapters.redis.console.kill_switch_lever import pull
from worker.adapters.redis.keys import KILL
from worker.cli.support.connection import open_redis
from worker.cli.support.errors import CliError
from worker.halt import fleet_halt
from worker.halt.fleet_halt import Halt
from worker.settings.settings import Settings


class Who(NamedTuple):
    """Who halts, with which command and why."""

    actor: str
    command: str
    reason: str


def halt_fleet(who: Who, settings: Settings) -> Halt:
    """Halt the fleet of `settings`, even if no worker can be heard. Raises CliError."""
    with _halting(who, settings) as halt:
        try:
            return halt()
        except StoreUnavailable as error:
            raise CliError(_not_halted(settings, str(error))) from None


def set_the_key(who: Who, within_seconds: float, settings: Settings) -> Halt | None:
    """Halt again until Redis accepts the key. Return the halt that set it; None if none did in that time."""
    with _halting(who, settings) as halt:
        return fleet_halt.set_the_key(halt, within_seconds)


@contextmanager
def _halting(who: Who, settings: Settings) -> Iterator[Callable[[], Halt]]:
    with open_redis(settings) as client:
        engage = partial(pull, client, settings.namespace, **who._asdict())
        yield partial(fleet_halt.halt_fleet, client, settings.namespace, engage)


def _not_halted(settings: Settings, error: str) -> str:
    return (
        f"NOT HALTED BY THIS COMMAND: {error}.\n"
        f"A worker that cannot reach it either halts by itself within {settings.brake_grace_seconds:g} s. "
        f"For those that can: try again, run `redis-cli SET {KILL(settings.namespace)} true` on the Redis "
        "machine, or stop the workers (SIGTERM)."
    )
