"""How many STUB jobs one Redis can carry: it is given what workers send for them, and no worker is.

The commands of each job go as they do from a worker, but hundreds of jobs in one pipeline, so that Redis and
not its client is what is full: the most that a Redis with ever more workers gets near.
"""

from __future__ import annotations

import json
import time
import uuid

import redis

from tests.benchmarks.rig.messages import push, stubs
from worker.adapters.celery.redelivery import _ACK, _APPEND
from worker.adapters.celery.results import _STORE
from worker.adapters.redis.dial_keys import dial_keys
from worker.adapters.redis.keys import PROCESSING, TAKEN

IN_A_PIPELINE = 200
WORKER, QUEUE = "w" * 32, "slotgen"
_READ_BYTES = 1 << 20


def jobs_per_second(client: redis.Redis, number: int) -> float:
    """Return the rate at which Redis runs the commands of `number` jobs."""
    messages = stubs(IN_A_PIPELINE)
    for script in (_APPEND, _ACK, _STORE):
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


def commands(messages: list[bytes]) -> list[tuple[object, ...]]:
    """Return what a worker sends for these STUB jobs, in its order for each."""
    return [each for raw in messages for each in commands_of(raw)]


def commands_of(raw: bytes) -> list[tuple[object, ...]]:
    task_id, tag = uuid.uuid4().hex, f"{WORKER}:{uuid.uuid4().hex}"
    taking = PROCESSING(QUEUE, WORKER)
    unacked = (f"{QUEUE}:unacked_index", f"{QUEUE}:unacked")
    result = {"version": "v1", "jobId": "job", "status": "STUB", "generatedAt": "", "output": None}
    document = json.dumps({"status": "SUCCESS", "result": [result], "task_id": task_id, "children": []})
    return [
        ("BLMOVE", QUEUE, taking, "RIGHT", "LEFT", 1),
        ("EVALSHA", _APPEND.sha, 5, *unacked, taking, TAKEN(QUEUE), QUEUE, time.time(), tag, raw, raw),
        ("MGET", *dial_keys(QUEUE)),
        ("EVALSHA", _STORE.sha, 1, f"celery-task-meta-{task_id}", 86_400, document),
        ("EVALSHA", _ACK.sha, 2, *unacked, tag),
    ]


def read_until(sock: object, mark: bytes) -> None:
    tail = b""
    while mark not in tail:
        tail = tail[-len(mark) :] + sock.recv(_READ_BYTES)
