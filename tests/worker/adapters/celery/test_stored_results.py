"""What Celery itself stores is stored and published in one step; a success is final."""

from __future__ import annotations

import json
import uuid

import pytest
from celery import Celery
from redis.exceptions import ResponseError


@pytest.fixture
def backend(redis_server):
    url = f"worker.adapters.celery.results:PatientBackend+{redis_server.url}"
    app = Celery("test", broker=redis_server.url, backend=url, set_as_current=False)
    app.conf.result_serializer = "json"
    yield app.backend
    app.close()


def stored(client, task_id):
    return json.loads(client.get(f"celery-task-meta-{task_id}"))


def test_a_success_is_final_and_everything_before_it_is_not(backend, redis_client):
    task_id = str(uuid.uuid4())
    redis_client.set(f"celery-task-meta-{task_id}", "neither JSON nor ours")
    states = []
    for result, state in [(1, "PROGRESS"), (["first"], "SUCCESS"), (2, "PROGRESS"), (["second"], "SUCCESS")]:
        backend.store_result(task_id, result, state)
        states.append((stored(redis_client, task_id)["status"], stored(redis_client, task_id)["result"]))

    assert states == [("PROGRESS", 1)] + [("SUCCESS", ["first"])] * 3
    assert 0 < redis_client.ttl(f"celery-task-meta-{task_id}") <= 86_400


def test_who_listens_is_told_what_is_stored(backend, redis_client):
    task_id = str(uuid.uuid4())
    listener = redis_client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(f"celery-task-meta-{task_id}")
    listener.get_message(timeout=5)

    backend.store_result(task_id, ["é"], "SUCCESS")

    message = listener.get_message(timeout=5)
    listener.close()
    assert message["data"] == redis_client.get(f"celery-task-meta-{task_id}")


@pytest.mark.parametrize(
    "refusal",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "NOPERM this user has no permissions",
        "CLUSTERDOWN The cluster is down",
    ],
)
def test_whatever_redis_says_is_waited_for(backend, redis_client, refusal):
    with pytest.raises(ResponseError) as refused:
        redis_client.eval("return redis.error_reply(ARGV[1])", 0, refusal)

    assert backend.exception_safe_to_retry(refused.value)
    assert backend.exception_safe_to_retry(ConnectionResetError())
    assert not backend.exception_safe_to_retry(ValueError())
