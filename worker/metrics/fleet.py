"""Measures what the fleet shares, beside the scrapes: its queue, its dead letters, its account."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from tasks.errors import StoreUnavailable
from telemetry import Metrics, emit
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.queue_age import RedisQueueAge
from worker.adapters.redis.waiting import depth
from worker.adapters.redis.wrong_keys import WrongKey, at_hand

_log = logging.getLogger("slotgen.worker")
_NANO = 10**9
_UNKNOWN = -1


@dataclass(slots=True)
class FleetGauges:
    """The gauges of one namespace, as they were read last: a scrape waits for no Redis.

    Without an answer the queue's figures are -1 and the account's NaN; how old the last answer is has a gauge
    of its own.
    """

    metrics: Metrics
    client: redis.Redis
    queue: str
    dead_letters: RedisDeadLetters
    account: RedisAccount
    now_mono: Callable[[], float] = time.monotonic
    _answered_mono: float = field(init=False)
    _wrong: list[WrongKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answered_mono = self.now_mono()
        age = self.metrics.gauge("slotgen_fleet_sample_age_seconds")
        age.set_function(lambda: self.now_mono() - self._answered_mono)
        self._set(_UNKNOWN, _UNKNOWN, _UNKNOWN)

    def sample(self) -> None:
        """Read them. Raises StoreUnavailable or RedisError, after it has said that nothing is known."""
        try:
            self._name_wrong_keys()
            self.dead_letters.trim()
            waiting, dead = depth(self.client, self.queue), self.dead_letters.count()
            oldest_seconds = RedisQueueAge(self.client, self.queue).oldest_seconds()
            account = self.account.read()
        except (StoreUnavailable, *REDIS_ERRORS):
            self._set(_UNKNOWN, _UNKNOWN, _UNKNOWN)
            raise
        self._answered_mono = self.now_mono()
        cap = math.inf if account.cap is None else account.cap / _NANO
        amounts = (account.spent / _NANO, account.held / _NANO, account.written_off / _NANO)
        self._set(waiting, dead, _UNKNOWN if oldest_seconds is None else oldest_seconds, cap, *amounts)

    def _name_wrong_keys(self) -> None:
        found = at_hand(self.client, self.queue, role="worker")
        for each in found:
            if each not in self._wrong:
                emit(
                    _log,
                    logging.ERROR,
                    "key_wrong",
                    key=each.key,
                    found=each.found,
                    wanted=each.wanted,
                    remedy=each.remedy,
                )
        self._wrong = found
        self.metrics.gauge("slotgen_wrong_keys").set(len(found))

    def _set(self, waiting: int, dead: int, oldest_seconds: float, *account_usd: float) -> None:
        self.metrics.gauge("slotgen_queue_depth").set(waiting)
        self.metrics.gauge("slotgen_queue_oldest_seconds").set(oldest_seconds)
        self.metrics.gauge("slotgen_dead_letters").set(dead)
        names = ("cap", "spent", "held", "written_off")
        for name, amount in zip(names, account_usd or [math.nan] * len(names), strict=True):
            self.metrics.gauge(f"slotgen_budget_{name}_usd").set(amount)
