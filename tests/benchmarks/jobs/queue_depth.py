"""STUB jobs a second with a million messages waiting, against a thousand.

The brake is on all the while, so that this is also the rate at which a halted queue drains.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.benchmarks.rig.backlog import drained_per_second, fill
from tests.benchmarks.rig.row import Row, at_least
from worker.dev.stack import Stack, stack

FEW, MANY, DRAINED, ROUNDS = 1000, 1_000_000, 3000, 3
# The million wait here while the queue has a thousand: a rename takes no time, so that both are measured in
# turns, on the same machine.
ASIDE = "aside"


def run() -> Iterator[Row]:
    """Yield the rows."""
    few, many = [], []
    with stack(concurrency=100) as system:
        system.client.set("slotgen:kill", "true")
        fill(system, MANY + DRAINED, ASIDE)
        memory = system.client.info("memory")["used_memory"] / 1e6
        with_waiting(system, FEW)
        for _ in range(ROUNDS):
            few.append(with_waiting(system, FEW))
            system.client.rename(ASIDE, "slotgen")
            many.append(with_waiting(system, MANY))
            system.client.rename("slotgen", ASIDE)
    shallow, deep = median(few), median(many)
    yield Row(
        f"kill is on: STUB jobs with {FEW:,} / {MANY:,} waiting, medians of {ROUNDS}",
        f"{shallow:.0f} / {deep:.0f} jobs/s",
    )
    yield at_least(f"  so drains a halted queue: {MANY:,} / {FEW:,}", deep / shallow, 0.95)
    yield Row("  Redis's memory with them", f"{memory:,.0f} MB")


def with_waiting(system: Stack, waiting: int) -> float:
    """Return the rate at which `DRAINED` jobs go while at least `waiting` others wait."""
    fill(system, waiting + DRAINED - system.client.llen("slotgen"))
    return drained_per_second(system, DRAINED)
