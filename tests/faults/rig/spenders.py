"""Processes that spend against one cap as hard as they can: `python -m tests.faults.rig.spenders REDIS_URL`.

Prints the sum that they have settled, in nano-dollars.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sys
from functools import partial

from tests.bookings import Bookings, some_steps
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async

CAP = 50 * 10**9
WINDOW_SECONDS = 86_400
PROCESSES = 16
_DOLLAR = 10**9


async def _one(budget: Bookings, chance: random.Random, reservation_id: str) -> int:
    """Reserve a dollar and settle at less, write it off, or let it go; return what was settled."""
    if not await budget.reserve(reservation_id, _DOLLAR):
        return 0
    await asyncio.sleep(chance.random() / 100)  # the call
    spent, known = chance.choice([(3 * _DOLLAR // 10, True), (_DOLLAR, False), (0, True)])
    await budget.settle(reservation_id, spent, known=known)
    await budget.settle(reservation_id, spent, known=known)
    return spent


async def _spend(url: str, name: str) -> int:
    chance, settled = random.Random(name), 0
    async with open_async(url, timeout_seconds=5) as client:
        batches = RedisBatches(client)
        budget = Bookings(some_steps(batches, "slotgen", cap_nano_usd=CAP, window_seconds=WINDOW_SECONDS))
        for start in range(0, 400, 20):
            together = (_one(budget, chance, f"{name}-{start + each}") for each in range(20))
            settled += sum(await asyncio.gather(*together))
    return settled


def _process(url: str, name: str) -> int:
    return asyncio.run(_spend(url, name))


def main(url: str) -> None:
    # Forked, so that what takes the time of a start, the imports, is done once for all of them.
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        print(sum(pool.map(partial(_process, url), [f"p{each}" for each in range(PROCESSES)], chunksize=1)))


if __name__ == "__main__":
    main(sys.argv[1])
