"""What the account costs: one reservation and its settlement, in a real Redis."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from tests.benchmarks.rig.row import Row, at_most
from tests.bookings import Bookings, some_steps
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async

PAIRS = 2_000


def run() -> list[Row]:
    """Return the rows."""
    with EmbeddedRedis() as server:
        pairs_ms = sorted(asyncio.run(measured(server.url)))
    return [
        at_most(f"reserve and settle, median of {PAIRS}", median(pairs_ms), 1, " ms"),
        Row(f"  p99 of {PAIRS}", f"{pairs_ms[int(PAIRS * 0.99)]:.2f} ms"),
    ]


async def measured(url: str) -> list[float]:
    """Return the milliseconds of each pair."""
    taken = []
    async with open_async(url, timeout_seconds=5) as client:
        budget = Bookings(some_steps(RedisBatches(client), "slotgen", cap_nano_usd=10**15))
        for number in range(PAIRS):
            began = time.perf_counter()
            await budget.reserve(f"hold-{number}", 10**6)
            await budget.settle(f"hold-{number}", 10**5, known=True)
            taken.append((time.perf_counter() - began) * 1000)
    return taken
