"""Says why answers are not coming, or come as STUBs, to someone waiting for them."""

from collections.abc import Iterator
from typing import cast

import redis

from gates import DIALS, BrakeState, Controls, kill_switch
from tasks.operations.timefmt import moment
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.cooldowns import cooldowns
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.dial_keys import dial_keys
from worker.adapters.redis.errors import Cause, RedisUnavailable, unavailable
from worker.settings.settings import Settings


def in_the_way(client: redis.Redis, settings: Settings, *, of_answers: bool) -> list[str]:
    """Return a sentence for each thing that blocks content, and with `of_answers`, any answer at all.

    The role `producer` may read none of it, and is told so once answers are late.

    Raises:
        StoreUnavailable: Redis did not answer.

    """
    found = []
    for look in (*([_workers] if of_answers else []), _kill_switch, _spend_cap, _cooldowns):
        try:
            with unavailable(client):
                found += list(look(client, settings))
        except RedisUnavailable as error:
            if error.cause is Cause.FORBIDDEN:
                return ["this user of Redis may not read why; slotgen status says it"] if of_answers else []
            if error.cause is not Cause.WRONG_TYPE:
                raise
    return found


def _workers(client: redis.Redis, settings: Settings) -> Iterator[str]:
    if all(each.silent_seconds is not None for each in RedisFleet(client, settings.namespace).workers()):
        yield f"no worker is running for the queue {settings.namespace}; start one: slotgen worker"


def _kill_switch(client: redis.Redis, settings: Settings) -> Iterator[str]:
    values = cast("list[bytes | None]", client.mget(dial_keys(settings.namespace)))
    raw = dict(zip((dial.name for dial in DIALS), values, strict=True))
    brake = Controls.parse(raw, settings.ceilings).brake
    if brake is not BrakeState.RELEASED:
        state = "is on" if brake is BrakeState.ENGAGED else "is not set, which counts as on"
        yield f"the kill switch {state}: jobs come back as STUBs; to release it: {kill_switch.DIAL.command}"


def _spend_cap(client: redis.Redis, settings: Settings) -> Iterator[str]:
    account = RedisAccount.of_fleet(client, settings).read()
    if account.left == 0:
        until = moment(account.ends * 1000)
        yield f"the spend cap is used up until {until}: jobs come back as STUBs; see: slotgen budget"


def _cooldowns(client: redis.Redis, settings: Settings) -> Iterator[str]:
    for each in cooldowns(client, settings.namespace, settings.longest_cooldown_seconds):
        yield f"{each}; to end that: {each.command}"
