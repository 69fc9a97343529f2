"""Messages by the thousand: STUB jobs, jobs that call the model, and the yardstick's."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable
from typing import Any

import redis

from tests.builders import a_job, a_spec


def message(task: str, args: list[Any], queue: str) -> bytes:
    """Return one raw Celery message, as a producer would LPUSH it."""
    task_id = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps([args, {}, {}]).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": task_id, "retries": 0, "ignore_result": False},
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
                "delivery_info": {"exchange": "", "routing_key": queue},
            },
        }
    ).encode()


def id_of(raw: bytes) -> str:
    """Return the task id of a message."""
    return str(json.loads(raw)["headers"]["id"])


def push(client: redis.Redis, queue: str, messages: list[bytes]) -> None:
    """Put the messages at the queue's end, some hundreds in a command."""
    with client.pipeline(transaction=False) as pipe:
        for start in range(0, len(messages), 500):
            pipe.lpush(queue, *messages[start : start + 500])
        pipe.execute()


def nothing(number: int) -> list[bytes]:
    """Return messages for the bare task that does nothing, with as much in them as ours have."""
    return [message("bare.nothing", [a_spec(a_job(f"job-{each}"))], "bare") for each in range(number)]


def stubs(number: int) -> list[bytes]:
    """Return specs of one job each, alike but for their ids."""
    return [message("slotgen.generate", [a_spec(a_job(f"job-{each}"))], "slotgen") for each in range(number)]


def generated(numbers: Iterable[int], name: str) -> list[bytes]:
    """Return specs of one job each, whose topics differ: no answer is served from another's."""
    jobs = [a_job(f"{name}-{each}", input={"topic": f"{name} {each}"}) for each in numbers]
    return [message("slotgen.generate", [a_spec(job)], "slotgen") for job in jobs]
