"""Measures what the fleet shares, at the moment of a scrape: its queue, its dead letters, its account."""

import math
from collections.abc import Callable
from functools import partial

import redis

from tasks.errors import StoreUnavailable
from tasks.operations.money import Account
from telemetry import Metrics
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.dead_letters import RedisDeadLetters
from worker.adapters.redis.console.queue_age import RedisQueueAge
from worker.adapters.redis.errors import REDIS_ERRORS

_NANO = 10**9
_UNKNOWN = -1


def attach_fleet(
    metrics: Metrics, client: redis.Redis, queue: str, dead_letters: RedisDeadLetters, account: RedisAccount
) -> None:
    """Let each scrape ask Redis; without an answer the queue's figures read as -1, the account's as NaN."""
    asked: dict[str, Callable[[], float | None]] = {
        "slotgen_queue_depth": partial(client.llen, queue),
        "slotgen_queue_oldest_seconds": RedisQueueAge(client, queue).oldest_seconds,
        "slotgen_dead_letters": dead_letters.count,
    }
    for name, ask in asked.items():
        metrics.gauge(name).set_function(partial(_known, ask))
    amounts: dict[str, Callable[[Account], float]] = {
        "slotgen_budget_cap_usd": lambda now: math.inf if now.cap is None else now.cap / _NANO,
        "slotgen_budget_spent_usd": lambda now: now.spent / _NANO,
        "slotgen_budget_held_usd": lambda now: now.held / _NANO,
        "slotgen_budget_written_off_usd": lambda now: now.written_off / _NANO,
    }
    for name, amount in amounts.items():
        # Our gauges read as NaN when their function raises.
        metrics.gauge(name).set_function(partial(_amount, account, amount))


def _amount(account: RedisAccount, of: Callable[[Account], float]) -> float:
    return of(account.read())


def _known(ask: Callable[[], float | None]) -> float:
    try:
        found = ask()
    except (StoreUnavailable, *REDIS_ERRORS):
        return _UNKNOWN
    return _UNKNOWN if found is None else found
