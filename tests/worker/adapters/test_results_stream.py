"""Deliveries reach the stream at least once, in a shape of their own; the stream stays bounded."""

from __future__ import annotations

import json
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

import schemas
from tasks.delivery import Delivery
from tests.worker.producing.test_endings import RESULT
from worker.adapters.redis_results_stream import ResultsStream


def a_delivery(job_id="a", text="x"):
    result = RESULT | {"jobId": job_id, "status": "COMPLETED", "output": {"body": text}}
    return Delivery("task-1", result, None, "2026-11-1", requires_review=True)


def entries(client, namespace):
    return [json.loads(fields[b"delivery"]) for _, fields in client.xrange(f"{namespace}:results")]


def test_an_entry_is_one_delivery(redis_client, namespace):
    ResultsStream(redis_client, namespace, 1000).add([a_delivery("a", "ж"), a_delivery("b")])

    first, second = entries(redis_client, namespace)
    assert schemas.violations("delivery.v1", first) == []
    assert (first["result"]["output"], second["jobId"]) == ({"body": "ж"}, "b")


def test_the_stream_is_bounded(redis_client, namespace):
    stream = ResultsStream(redis_client, namespace, 100)

    for _ in range(50):
        stream.add([a_delivery()] * 20)

    # Redis trims whole nodes, of at most 100 entries.
    assert 100 <= redis_client.xlen(f"{namespace}:results") <= 200


def test_a_worker_that_stops_does_not_wait_for_it(redis_client, namespace):
    redis_client.set(f"{namespace}:results", "in the way")
    stream = ResultsStream(redis_client, namespace, 100)
    with ThreadPoolExecutor(1) as waiting:
        adding = waiting.submit(stream.add, [a_delivery()])
        stream.give_up()
        with pytest.raises(CancelledError):
            adding.result(timeout=10)

    assert not stream.is_usable()


@pytest.mark.timeout(30)
def test_waits_for_a_stream_that_refuses_and_loses_nothing(redis_client, namespace, caplog):
    key = f"{namespace}:results"
    redis_client.set(key, "in the way")
    adding = threading.Thread(target=ResultsStream(redis_client, namespace, 100).add, args=([a_delivery()],))

    adding.start()
    while not caplog.records:
        adding.join(0.01)
    assert adding.is_alive()
    redis_client.delete(key)
    adding.join(10)

    assert len(entries(redis_client, namespace)) == 1
    assert caplog.records[0].message == "results_stream_refused"
