"""Which Celery pool carries slow calls: 200 calls of 1 s on one asyncio loop for each process."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from tests.benchmarks.rig.messages import message
from tests.benchmarks.rig.row import Row
from tests.benchmarks.rig.workers import bare_worker, drain, memory_mb
from tests.redis_server.server import EmbeddedRedis

CALLS = 200
POOLS = [("threads", 200, CALLS), ("prefork", 8, 40), ("solo", 1, 5)]


def run() -> Iterator[Row]:
    """Yield the rows."""
    for pool, concurrency, calls in POOLS:
        with (
            EmbeddedRedis() as server,
            bare_worker(server, "--pool", pool, "--concurrency", str(concurrency)) as pid,
            redis.Redis.from_url(server.url) as client,
        ):
            drain(client, "bare", [message("bare.nothing", [1], "bare") for _ in range(20)])
            rate = drain(client, "bare", [message("bare.wait", [1.0], "bare") for _ in range(calls)])
            figure = f"{rate:.0f} calls/s, {memory_mb(pid):.0f} MB"
        yield Row(f"calls of 1 s, {pool} {concurrency}", figure)
