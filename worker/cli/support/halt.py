"""One halt, and the workers' word for it: `slotgen kill` imports it when it is done, its help without."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import Engaged
from tasks.operations.fleet import Confirmation, WorkerInfo
from worker.adapters.redis.console.fleet import HaltListener, RedisFleet
from worker.adapters.redis.console.kill_switch_lever import pull
from worker.adapters.redis.keys import KILL
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError
from worker.settings.settings import Settings

_CONFIRM_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Halt:
    """How the kill switch was set, and what `workers` said of it within 3 s; `ms` is how long that took."""

    engaged: Engaged
    workers: list[WorkerInfo]
    confirmed: dict[str, Confirmation]
    ms: float


def halt(engage: Callable[[], Engaged], workers: list[WorkerInfo], listener: HaltListener | None) -> Halt:
    """Set the kill switch by `engage`, and collect the confirmations of `workers`; closes `listener`.

    Raises:
        StoreUnavailable: the kill switch could not be set.

    """
    began_mono = time.monotonic()
    try:
        engaged = engage()
        confirmed = _confirmed(listener, workers) if listener else {}
    finally:
        if listener:
            listener.close()
    return Halt(engaged, workers, confirmed, (time.monotonic() - began_mono) * 1000)


def _confirmed(listener: HaltListener, workers: list[WorkerInfo]) -> dict[str, Confirmation]:
    try:
        return dict(listener.wait_for({each.worker_id for each in workers}, _CONFIRM_SECONDS))
    except StoreUnavailable:
        return dict(listener.confirmed)


def halt_fleet(actor: str, command: str, reason: str) -> tuple[Settings, Halt]:
    """Halt the fleet of the environment; hearing from no worker does not hinder it. Raises CliError."""
    settings = load_settings()
    with open_redis(settings) as client:
        fleet = RedisFleet(client, settings.namespace)
        try:
            listener, workers = fleet.listen(), fleet.workers()
        except StoreUnavailable:
            listener, workers = None, []
        try:
            done = halt(
                lambda: pull(client, settings.namespace, actor=actor, command=command, reason=reason),
                workers,
                listener,
            )
        except StoreUnavailable as error:
            raise CliError(_not_halted(settings, str(error))) from None
    return settings, done


def _not_halted(settings: Settings, error: str) -> str:
    return (
        f"NOT HALTED BY THIS COMMAND: {error}.\n"
        f"A worker that cannot reach it either halts by itself within {settings.brake_grace_seconds:g} s. "
        f"For those that can: try again, run `redis-cli SET {KILL(settings.namespace)} true` on the Redis "
        "machine, or stop the workers (SIGTERM)."
    )
