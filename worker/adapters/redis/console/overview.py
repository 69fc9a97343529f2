"""Reads what `slotgen status` and `slotgen web` show."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import redis
from redis.exceptions import ResponseError

from tasks.errors import StoreUnavailable
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.cooldown import Cooldown
from tasks.operations.overview import Blocker, Overview
from worker.adapters.redis.console.cooldowns import cooldowns
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.errors import Cause, RedisUnavailable, unavailable
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.history import RedisHistory
from worker.adapters.redis.wrong_keys import at_hand, glance
from worker.settings.settings import Settings

_AUDIT = 1_000
_DEAD = 100
# Of the wrong keys of single jobs; `slotgen repair` has them all.
_NAMED = 3
T = TypeVar("T")


def read_overview(
    client: redis.Redis,
    settings: Settings,
    since_seconds: int,
    past: Callable[[int], Sequence[OutcomeRecord]],
    *,
    role: str = "",
) -> Overview:
    """Return the fleet at this moment; `past` returns the outcomes since a time, by Redis's clock in ms.

    With a `role` it has only what that may read: nothing that takes a script, a search for keys, or messages.

    Raises:
        StoreUnavailable: Redis did not answer.

    """
    place = client, settings.namespace
    dials, fleet, history = RedisDials(*place), RedisFleet(*place), RedisHistory(*place)
    dead_letters = RedisDeadLetters.of(client, settings)
    now_wall_ms = history.now_ms()
    since_ms = now_wall_ms - since_seconds * 1000
    return Overview(
        values=dials.look() if role else dials.read(),
        ceilings=settings.ceilings,
        audit=_read(lambda: dials.audit(_AUDIT), []),
        workers=_read(fleet.workers, []),
        past=_read(lambda: past(since_ms), []),
        queue_depth=_read(fleet.queue_depth, None),
        oldest_seconds=None if role else _read(fleet.queue_oldest_seconds, None),
        strays=[] if role else _read(fleet.strays, []),
        queue=settings.namespace,
        dead_letters=_read(dead_letters.count, None),
        dead_reasons={} if role else _read(lambda: _reasons(dead_letters), Counter[str]()),
        dead_letters_filled=_read(dead_letters.filled, 0.0),
        wrong_keys=_wrong_keys(*place, role),
        now_wall_ms=now_wall_ms,
        since_seconds=since_seconds,
        cooldowns=[] if role else _cooldowns(client, settings),
    )


def _reasons(dead_letters: RedisDeadLetters) -> Counter[str]:
    return Counter(each.reason for each in dead_letters.list(_DEAD))


def _cooldowns(client: redis.Redis, settings: Settings) -> list[Cooldown]:
    with unavailable(client):
        return cooldowns(client, settings.namespace, settings.longest_cooldown_seconds)


def _wrong_keys(client: redis.Redis, namespace: str, role: str) -> list[Blocker]:
    """Return those first that concern the whole fleet, and of those of one job each no more than fit."""
    fleets = at_hand(client, namespace, role=role)
    jobs = [] if role else [each for each in glance(client, namespace) if each not in fleets]
    lines = [Blocker(f"{each.key} {each.what}", each.remedy) for each in fleets + jobs[:_NAMED]]
    if more := len(jobs[_NAMED:]):
        lines.append(Blocker(f"{more} keys more hold what does not belong there", "slotgen repair"))
    return lines


def _read(read: Callable[[], T], unknown: T) -> T:
    """Return what `read` does, or `unknown` where a key of another type is in the way of it alone."""
    try:
        return read()
    except (StoreUnavailable, ResponseError) as error:
        if isinstance(error, RedisUnavailable) and error.cause is not Cause.WRONG_TYPE:
            raise
        return unknown
