"""One halt of the fleet, and the workers' word for it."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import redis

from gates import kill_switch
from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import Engaged, RecordedChange, halted_by
from tasks.operations.fleet import Confirmation, WorkerInfo
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.fleet import HaltListener, RedisFleet

_CONFIRM_SECONDS = 3.0
_TRY_SECONDS = 1.0
_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Halt:
    """How the fleet was halted, and which workers confirmed within 3 s; `ms` is how long that took.

    `workers` are those known by their heartbeats, which stop when Redis refuses writes. `before` is who had
    already halted the fleet.
    """

    engaged: Engaged
    workers: list[WorkerInfo]
    confirmed: dict[str, Confirmation]
    ms: float
    before: RecordedChange | None = None

    @property
    def number(self) -> int:
        """How many there are, by heartbeats, by who heard the message, or by who confirmed (a trial does)."""
        return max(len(self.workers), self.engaged.heard, len(self.confirmed))


def halt(
    engage: Callable[[], Engaged],
    find_workers: Callable[[], list[WorkerInfo]],
    listener: HaltListener | None,
) -> Halt:
    """Halt by `engage`, then collect the workers' confirmations; closes `listener`.

    Nothing but the halt itself is read before it: others may have written what takes long to read.

    Raises:
        StoreUnavailable: `engage` could not halt.

    """
    began_mono = time.monotonic()
    try:
        engaged = engage()
        workers = _found(find_workers)
        confirmed = _confirmed(listener, workers, engaged.heard) if listener else {}
    finally:
        if listener:
            listener.close()
    return Halt(engaged, workers, confirmed, (time.monotonic() - began_mono) * 1000)


def _found(find_workers: Callable[[], list[WorkerInfo]]) -> list[WorkerInfo]:
    try:
        return find_workers()
    except StoreUnavailable:
        return []


def _confirmed(listener: HaltListener, workers: list[WorkerInfo], heard: int) -> dict[str, Confirmation]:
    # A silent worker may wake up and confirm, but is not waited for.
    known = {each.worker_id for each in workers if each.silent_seconds is None}
    try:
        return dict(listener.wait_for(known, _CONFIRM_SECONDS, at_least=heard))
    except StoreUnavailable:
        return dict(listener.confirmed)


def halt_fleet(client: redis.Redis, namespace: str, engage: Callable[[], Engaged]) -> Halt:
    """Halt by `engage`, even if no worker can be heard; `client` is for what surrounds the halt.

    Raises:
        StoreUnavailable: `engage` could not halt.

    """
    fleet = RedisFleet(client, namespace)
    try:
        listener = fleet.listen()
    except StoreUnavailable:
        listener = None
    done = halt(engage, fleet.workers, listener)
    with contextlib.suppress(StoreUnavailable):
        audit = RedisDials(client, namespace).audit(_CHANGES)
        done = replace(done, before=_halted_before(audit, done.engaged))
    return done


def set_the_key(
    halt: Callable[[], Halt], within_seconds: float, pause: Callable[[float], Any] = time.sleep
) -> Halt | None:
    """Halt again every second, until Redis accepts the key. Return the halt that set it; None if none did.

    Where Redis refuses it, each try repeats the message: a worker that starts meanwhile hears the next one.
    Something true from `pause` ends it.
    """
    deadline_mono = time.monotonic() + within_seconds
    while time.monotonic() < deadline_mono and not pause(_TRY_SECONDS):
        with contextlib.suppress(StoreUnavailable):
            if (done := halt()).engaged.key_set:
                return done
    return None


def _halted_before(audit: list[RecordedChange], engaged: Engaged) -> RecordedChange | None:
    own = next((each for each in audit if each.dial == kill_switch.NAME), None) if engaged.recorded else None
    first = halted_by(audit)
    return None if first is own else first
