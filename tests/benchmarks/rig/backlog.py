"""A queue that never runs dry: messages by the thousand, and the rate at which workers take them."""

from __future__ import annotations

import time
import uuid

from tests.benchmarks.rig.messages import id_of, message
from tests.benchmarks.rig.workers import DEADLINE_SECONDS
from tests.builders import a_job, a_spec
from worker.adapters.redis.keys import TAKEN
from worker.dev.stack import Stack


def fill(system: Stack, number: int, queue: str = "slotgen") -> None:
    """Put `number` messages behind those that wait; they are one message under ids of their own."""
    one = message("slotgen.generate", [a_spec(a_job("waiting"))], "slotgen")
    template, task_id = one.decode(), id_of(one)
    with system.client.pipeline(transaction=False) as pipe:
        for begin in range(0, number, 500):
            some = [template.replace(task_id, uuid.uuid4().hex) for _ in range(min(500, number - begin))]
            pipe.lpush(queue, *some)
            if begin % 50_000 == 0:
                pipe.execute()
        pipe.execute()


def drained_per_second(system: Stack, number: int) -> float:
    """Return how fast `number` messages are taken, from now."""
    began_mono, first = time.monotonic(), taken(system)
    await_taken(system, first + number)
    return (taken(system) - first) / (time.monotonic() - began_mono)


def await_taken(system: Stack, number: int) -> None:
    """Return once `number` messages have ever been taken. Raises TimeoutError."""
    deadline_mono = time.monotonic() + DEADLINE_SECONDS
    while taken(system) < number:
        if time.monotonic() > deadline_mono:
            raise TimeoutError(f"{taken(system)} of {number} messages were taken in {DEADLINE_SECONDS} s")
        time.sleep(0.02)  # the yardstick must not load Redis itself


def await_calm(system: Stack) -> None:
    """Return once no message waits and none is worked on. Raises TimeoutError."""
    deadline_mono = time.monotonic() + DEADLINE_SECONDS
    while system.client.llen("slotgen") or system.client.hlen("slotgen:unacked"):
        if time.monotonic() > deadline_mono:
            raise TimeoutError(f"messages are still worked on after {DEADLINE_SECONDS} s")
        time.sleep(0.05)  # see above


def taken(system: Stack) -> int:
    return int(system.client.get(TAKEN("slotgen")) or 0)
