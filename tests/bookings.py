"""The steps of a job one thing at a time, as tests of money, claims and cooldowns ask for it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from tasks import executor_config
from tasks.ports import Arrival, Arrived, Departed, Departure, Ending, Settlement, Steps
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.jobs.steps import RedisSteps


def some_steps(redis: RedisBatches, namespace: str, **changes: Any) -> RedisSteps:
    """Return the steps of worker `w1` without a spend cap, but for `changes`."""
    fields: dict[str, Any] = {
        "worker_id": "w1",
        "worker_lost_seconds": 600,
        "cap_nano_usd": None,
        "window_seconds": 86_400,
        "probe_seconds": 10,
        "answer_ttl_seconds": 60,
        "answers_kept": 100_000,
        "rules": executor_config.load(None).guard,
        "longest_cooldown_seconds": 600,
    }
    return RedisSteps(redis, namespace, **(fields | changes))


@dataclass(frozen=True)
class Bookings:
    """`steps`, with a method for each of the things that they do together."""

    steps: Steps

    async def depart(
        self,
        reservation_id: str = "h",
        amount: int = 1,
        model: str = "gpt",
        seconds: float = 60,
        *,
        job: str = "job",
        most_begun: int = 10**6,
    ) -> Departed:
        return await self.steps.depart(Departure(job, reservation_id, model, amount, seconds, most_begun))

    async def reserve(self, *what: Any, **how: Any) -> bool:
        return (await self.depart(*what, **how)).left

    async def settle(self, reservation_id: str, spent: int, *, known: bool, rule: str = "") -> Arrived:
        settlement = Settlement(reservation_id, spent, known, rule)
        return await self.steps.arrive(Arrival("job", settlement=settlement))

    async def put(self, key: str, value: Any) -> bool:
        return (await self.steps.arrive(Arrival(key, answer=json.dumps(value)))).stored

    async def ours(self, token: str, job: str = "job") -> bool:
        return (await self.steps.claim(job, token)).ours

    async def release(self, job: str, token: str, *, concluded: bool) -> Arrived:
        return await self.steps.arrive(Arrival(job, ending=Ending(token, concluded)))

    async def begin_attempt(self, job: str = "job") -> int:
        """Count one more attempt; return how many have no outcome."""
        return (await self.depart(uuid.uuid4().hex, job=job)).begun

    async def end_attempt(self, job: str, begun: int) -> Arrived:
        return await self.steps.arrive(Arrival(job, taken_back=begun))

    async def cool_down(self, model: str, seconds: float) -> Arrived:
        return await self.steps.arrive(Arrival("job", model=model, cooldown_seconds=seconds))
