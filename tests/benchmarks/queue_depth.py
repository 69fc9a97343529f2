"""STUB jobs a second with a million messages waiting, against a thousand: so drains a halted queue."""

from __future__ import annotations

import json
import time
import uuid

from tests.benchmarks.rig import message
from tests.builders import a_job, a_spec
from worker.adapters.redis_keys import taken_key
from worker.dev.stack import Stack, stack

FEW, MANY, DRAINED, ROUNDS = 1000, 1_000_000, 3000, 3


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    with stack(concurrency=100) as system:
        system.client.set("slotgen:kill", "true")
        # More than is waited for: the worker begins while they are put there.
        fill(system, 2 * DRAINED)
        drained_per_second(system, DRAINED)
        few = max(with_waiting(system, FEW) for _ in range(ROUNDS))
        many = max(with_waiting(system, MANY) for _ in range(ROUNDS))
        memory = system.client.info("memory")["used_memory"] / 1e6
    return [
        (f"STUB jobs, {FEW:,} / {MANY:,} waiting", f"{few:.0f} / {many:.0f} jobs/s", ""),
        (f"  {MANY:,} / {FEW:,}", f"{many / few:.2f}", ">= 0.95"),
        ("  Redis's memory with them", f"{memory:,.0f} MB", ""),
    ]


def with_waiting(system: Stack, waiting: int) -> float:
    """Return the rate at which `DRAINED` jobs go while at least `waiting` others wait."""
    fill(system, waiting + DRAINED - system.client.llen("slotgen"))
    return drained_per_second(system, DRAINED)


def fill(system: Stack, number: int) -> None:
    """Put `number` messages behind those that wait; they are one message under ids of their own."""
    template = message("slotgen.generate", [a_spec(a_job("waiting"))], "slotgen").decode()
    headers = json.loads(template)["headers"]["id"]
    with system.client.pipeline(transaction=False) as pipe:
        for begin in range(0, number, 500):
            some = [template.replace(headers, uuid.uuid4().hex) for _ in range(min(500, number - begin))]
            pipe.lpush("slotgen", *some)
            if begin % 50_000 == 0:
                pipe.execute()
        pipe.execute()


def drained_per_second(system: Stack, number: int) -> float:
    """Return how fast `number` messages are taken, from now."""
    began, first = time.monotonic(), taken(system)
    while taken(system) - first < number:
        time.sleep(0.02)  # the yardstick must not load Redis itself
    return (taken(system) - first) / (time.monotonic() - began)


def taken(system: Stack) -> int:
    return int(system.client.get(taken_key("slotgen")) or 0)
