"""STUB jobs a second of one worker process, against the same Celery with a task that does nothing."""

from __future__ import annotations

from statistics import median

import redis

from tests.benchmarks.rig.messages import nothing, stubs
from tests.benchmarks.rig.row import Row, at_least
from tests.benchmarks.rig.workers import bare_worker, drain
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import stack

JOBS = 2000
ROUNDS = 3


def run() -> list[Row]:
    """Return the rows."""
    bare, ours = jobs_per_second()
    return [
        Row(f"bare no-op task, threads 100, median of {ROUNDS}", f"{bare:.0f} jobs/s"),
        Row(f"STUB jobs, threads 100, median of {ROUNDS}", f"{ours:.0f} jobs/s"),
        at_least("  STUB / bare", ours / bare, 2),
    ]


def jobs_per_second(rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the rates of the bare task and of STUB jobs, in turns, so that both meet the same machine."""
    ours, bare = [], []
    options = ["--pool", "threads", "--concurrency", "100"]
    with (
        stack(concurrency=100) as system,
        EmbeddedRedis() as server,
        bare_worker(server, *options),
        redis.Redis.from_url(server.url) as bare_client,
    ):
        system.client.set("slotgen:kill", "true")
        drain(bare_client, "bare", nothing(200))
        drain(system.client, "slotgen", stubs(200))
        for _ in range(rounds):
            bare.append(drain(bare_client, "bare", nothing(JOBS)))
            ours.append(drain(system.client, "slotgen", stubs(JOBS)))
    return median(bare), median(ours)
