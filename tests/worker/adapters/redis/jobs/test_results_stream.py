"""Deliveries reach the stream at least once, in a shape of their own; the stream stays bounded."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

import schemas
from tasks.delivery import Delivery
from tests.worker.client.test_results import RESULT
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.results_stream import ResultsStream


def a_delivery(job_id="a", text="x"):
    result = RESULT | {"jobId": job_id, "status": "COMPLETED", "output": {"body": text}}
    return Delivery("task-1", result, None, "2026-11-1", requires_review=True)


def entries(client, namespace):
    return [json.loads(fields[b"delivery"]) for _, fields in client.xrange(f"{namespace}:results")]


def run(url, namespace, kept, scenario):
    async def composed():
        async with open_async(url, timeout_seconds=2) as client:
            return await scenario(ResultsStream(RedisBatches(client), namespace, kept))

    return asyncio.run(composed())


class Refusals(logging.Handler):
    """Hears that the stream was refused, as the log says it."""

    def __init__(self):
        super().__init__()
        self._heard = asyncio.Queue()

    def emit(self, record):
        self._heard.put_nowait(record.getMessage())

    async def next(self):
        async with asyncio.timeout(30):
            return await self._heard.get()


@pytest.fixture
def refusals():
    handler = Refusals()
    logger = logging.getLogger("slotgen.results")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_an_entry_is_one_delivery(redis_server, redis_client, namespace):
    run(redis_server.url, namespace, 1000, lambda stream: stream.add([a_delivery("a", "ж"), a_delivery("b")]))

    first, second = entries(redis_client, namespace)
    assert schemas.violations("delivery.v1", first) == []
    assert (first["result"]["output"], second["jobId"]) == ({"body": "ж"}, "b")


def test_the_stream_is_bounded(redis_server, redis_client, namespace):
    async def scenario(stream):
        for _ in range(50):
            await stream.add([a_delivery()] * 20)

    run(redis_server.url, namespace, 100, scenario)

    # Redis trims whole nodes, of at most 100 entries.
    assert 100 <= redis_client.xlen(f"{namespace}:results") <= 200


def test_a_worker_that_stops_does_not_wait_for_it(redis_server, redis_client, namespace, refusals):
    redis_client.set(f"{namespace}:results", "in the way")

    async def scenario(stream):
        adding = asyncio.create_task(stream.add([a_delivery()]))
        await refusals.next()
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding

    run(redis_server.url, namespace, 100, scenario)


def test_waits_for_a_stream_that_refuses_and_loses_nothing(redis_server, redis_client, namespace, refusals):
    key = f"{namespace}:results"
    redis_client.set(key, "in the way")

    async def scenario(stream):
        adding = asyncio.create_task(stream.add([a_delivery()]))
        said = await refusals.next()
        assert not adding.done()
        redis_client.delete(key)
        await adding
        return said

    said = run(redis_server.url, namespace, 100, scenario)

    assert len(entries(redis_client, namespace)) == 1
    assert said == "results_stream_refused"
