"""STUB jobs a second of 1, 2 and 4 worker processes on one Redis, and where that Redis would be full.

On a machine with few cores the workers run out of them long before Redis does. So its limit is derived: its
CPU for one job, as it says itself (INFO cpu), and one core of that, for it runs commands on one. That is on
the safe side: a Redis that is busier reads more commands at each wake-up, and so pays less for each. The
other bound is measured: a Redis that is given the commands of STUB jobs, many in a pipeline (redis_alone.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import redis

from tests.benchmarks.rig import machine
from tests.benchmarks.rig.backlog import await_calm, drained_per_second, fill, taken
from tests.benchmarks.rig.redis_alone import jobs_per_second
from tests.benchmarks.rig.row import Row, at_least
from tests.benchmarks.rig.workers import cpu_seconds, more_workers
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import Stack, stack

PROCESSES = (1, 2, 4)
DRAINED, CONCURRENCY = 2500, 100
ALONE = 20_000


@dataclass(frozen=True, slots=True)
class Share:
    """What one job took: CPU in microseconds, commands as Redis counts them (those of scripts as well)."""

    jobs_per_second: float
    redis_us: float
    worker_us: float
    commands: float


def run() -> Iterator[Row]:
    """Yield the rows."""
    shares = {}
    with stack(concurrency=CONCURRENCY) as system:
        system.client.set("slotgen:kill", "true")
        fill(system, DRAINED)
        await_calm(system)
        for number in PROCESSES:
            with more_workers(system, number - 1, CONCURRENCY) as others:
                shares[number] = measured(system, [system.worker.pid, *others])
                await_calm(system)
    alone, cores = shares[1].jobs_per_second, machine.described()["cores"]
    for number, share in shares.items():
        yield Row(
            f"STUB jobs, worker processes on one Redis: {number} ({cores} cores for all)",
            f"{share.jobs_per_second:.0f} jobs/s, {share.jobs_per_second / alone:.2f} of one's",
        )
        yield Row(
            "  CPU of one job: Redis / worker; Redis's commands for it",
            f"{share.redis_us:.0f} / {share.worker_us:.0f} us; {share.commands:.1f}",
        )
    most = shares[PROCESSES[-1]]
    full = 1e6 / most.redis_us
    yield at_least(
        "  so one Redis, on a core of its own, would be full at (derived from its CPU for a job)",
        full,
        5000,
        " jobs/s",
        figure=f"{full:,.0f} jobs/s, of {most.worker_us / most.redis_us:.0f} workers on a core each",
    )
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        rate = jobs_per_second(client, ALONE)
    yield Row(
        "  and carries at most (the same commands in pipelines, no worker beside it)", f"{rate:,.0f} jobs/s"
    )


def measured(system: Stack, pids: list[int]) -> Share:
    """Return the shares of one job while there is always another waiting."""
    # All get under way first, and what they hold in advance is more than what is waited for.
    fill(system, 2 * DRAINED + 2 * CONCURRENCY * len(pids))
    drained_per_second(system, DRAINED // 2)
    before, first = consumed(system, pids), taken(system)
    rate = drained_per_second(system, DRAINED)
    after, jobs = consumed(system, pids), taken(system) - first
    used, workers, commands = (late - early for late, early in zip(after, before, strict=True))
    return Share(rate, used / jobs * 1e6, workers / jobs * 1e6, commands / jobs)


def consumed(system: Stack, pids: list[int]) -> tuple[float, float, float]:
    """Return Redis's CPU seconds so far, the workers', and how many commands Redis has run."""
    info = system.client.info()
    used = info["used_cpu_sys"] + info["used_cpu_user"]
    return used, sum(map(cpu_seconds, pids)), info["total_commands_processed"]
