"""What the account costs: one reservation and its settlement, in a real Redis."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from tasks.ports import Hold
from worker.adapters.redis_batches import RedisBatches
from worker.adapters.redis_budget import RedisBudget
from worker.adapters.redis_clients import open_async
from worker.dev.embedded_redis import EmbeddedRedis

PAIRS = 2_000


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    with EmbeddedRedis() as server:
        pairs = sorted(asyncio.run(measured(server.url)))
    return [
        (f"reserve and settle, median of {PAIRS}", f"{median(pairs) * 1000:.2f} ms", "< 1 ms"),
        (f"reserve and settle, p99 of {PAIRS}", f"{pairs[int(PAIRS * 0.99)] * 1000:.2f} ms", ""),
    ]


async def measured(url: str) -> list[float]:
    taken = []
    async with open_async(url, timeout_seconds=5, max_connections=4) as client:
        budget = RedisBudget(RedisBatches(client), "slotgen", 10**15, 86_400, lambda: None)
        for number in range(PAIRS):
            began = time.perf_counter()
            await budget.reserve(Hold(f"hold-{number}", 10**6, "gpt", 60))
            await budget.settle(f"hold-{number}", 10**5, known=True)
            taken.append(time.perf_counter() - began)
    return taken
