"""How many STUB jobs one Redis can carry: it is given what workers send for them, and no worker is.

The commands of each job go as they do from a worker, but hundreds of jobs in one pipeline, so that Redis and
not its client is what is full: the most that a Redis with ever more workers gets near.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

import redis

from tests.benchmarks.rig.messages import push, stubs
from worker.adapters.celery.redelivery import _MOST_AT_ONCE, _TAKE
from worker.adapters.celery.results import _FINISH
from worker.adapters.redis.dial_keys import dial_keys
from worker.adapters.redis.keys import HISTORY, RESULTS, TAKEN, UNACKED, UNACKED_INDEX
from worker.adapters.redis.waiting import lists

IN_A_PIPELINE = 3 * _MOST_AT_ONCE
WORKER, QUEUE = "w" * 32, "slotgen"
_READ_BYTES = 1 << 20


def jobs_per_second(client: redis.Redis, number: int) -> float:
    """Return the rate at which Redis runs the commands of `number` jobs."""
    messages = stubs(IN_A_PIPELINE)
    for script in (_TAKE, _FINISH):
        client.script_load(script.text)
    connection = client.connection_pool.get_connection()
    try:
        seconds = 0.0
        for _ in range(number // IN_A_PIPELINE):
            push(client, QUEUE, messages)
            mark = uuid.uuid4().hex.encode()
            wire = b"".join(connection.pack_commands([*commands(messages), ("ECHO", mark)]))
            began = time.perf_counter()
            connection._sock.sendall(wire)
            read_until(connection._sock, mark)
            seconds += time.perf_counter() - began
    finally:
        connection.disconnect()
        client.connection_pool.release(connection)
    return number // IN_A_PIPELINE * IN_A_PIPELINE / seconds


def commands(messages: list[bytes]) -> Iterator[tuple[object, ...]]:
    """Yield what a worker sends for these STUB jobs, as many as it takes at once, then each in order."""
    for _ in batched(messages, _MOST_AT_ONCE):
        tags = f"{WORKER}:{uuid.uuid4().hex}."
        keys = (TAKEN(QUEUE), UNACKED(QUEUE), UNACKED_INDEX(QUEUE), *lists(QUEUE))
        yield "EVALSHA", _TAKE.sha, *_TAKE.words(keys, [_MOST_AT_ONCE, tags, time.time(), 1 << 20, 1 << 21])
        for number in range(_MOST_AT_ONCE, 0, -1):
            yield "MGET", *dial_keys(QUEUE)
            yield finish(f"{tags}{number}")


def finish(tag: str) -> tuple[object, ...]:
    task_id = uuid.uuid4().hex
    result = {"version": "v1", "jobId": "job", "status": "STUB", "generatedAt": "", "output": None}
    document = json.dumps({"status": "SUCCESS", "result": [result], "task_id": task_id, "children": []})
    outcome = json.dumps(["x" * 16] * 20)
    keys = (
        f"celery-task-meta-{task_id}",
        *(each(QUEUE) for each in (RESULTS, HISTORY, UNACKED, UNACKED_INDEX)),
    )
    return "EVALSHA", _FINISH.sha, *_FINISH.words(keys, [tag, 86_400, document, 0, 50_000, 1, outcome])


def batched(messages: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(messages), size):
        yield messages[start : start + size]


def read_until(sock: object, mark: bytes) -> None:
    tail = b""
    while mark not in tail:
        tail = tail[-len(mark) :] + sock.recv(_READ_BYTES)
