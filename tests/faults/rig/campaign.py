"""Kills one worker after the other at random moments, and keeps what the ledger said each time."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, kill
from worker.dev.stack import WorkerProcess


@dataclass(frozen=True)
class Kill:
    """One kill -9 of a worker: how many calls it closed, and the ledger (key: attempts) after it.

    It lasted from `begun_mono` until the server had seen the end of what the worker sent before its own.
    """

    begun_mono: float
    over_mono: float
    in_flight: int
    ledger: dict[bytes, int]


@dataclass
class Campaign:
    """`worker` is the one that lives; the moments come from `chance`."""

    hurt: Fleet
    chance: random.Random
    concurrency: int
    worker: WorkerProcess = field(init=False)
    kills: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = self.hurt.start_worker(self.concurrency)

    def await_progress(self) -> None:
        """Return at a random moment, some answers later."""
        journal = self.hurt.fake_openai.journal
        self.hurt.fake_openai.behave(Behaviour(delay_seconds=self.chance.choice([0, 0.05, 0.3])))
        goal = journal.counts().completed + self.chance.randint(10, 60)
        journal.wait_until(lambda counts: counts.completed >= goal, 60)

    def kill_worker(self) -> None:
        """Kill the worker, and start the next one."""
        journal = self.hurt.fake_openai.journal
        begun_mono, before = time.monotonic(), journal.counts()
        kill(self.worker)
        after = journal.wait_until(lambda counts: counts.in_flight == 0, 60)
        in_flight = after.cancelled - before.cancelled
        self.kills.append(Kill(begun_mono, time.monotonic(), in_flight, ledger(self.hurt)))
        self.worker = self.hurt.start_worker(self.concurrency)

    def restart_redis(self) -> None:
        """Kill Redis, and start it again up to a second later."""
        self.hurt.server.kill()
        time.sleep(self.chance.random())  # no waiting: how long Redis is away is what is tried
        self.hurt.server.restart()


def ledger(hurt: Fleet) -> dict[bytes, int]:
    """Return the attempts without an outcome, by their keys."""
    keys = hurt.client.keys("slotgen:ledger:*")
    values = hurt.client.mget(keys) if keys else []
    return {key: int(value) for key, value in zip(keys, values, strict=True)}
