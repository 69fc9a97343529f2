"""What every benchmark needs: a worker process on an embedded Redis, messages by the thousand, a clock."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from worker.dev.embedded_redis import EmbeddedRedis

DEADLINE_SECONDS = 300


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


@contextmanager
def bare_worker(server: EmbeddedRedis, *options: str) -> Iterator[int]:
    """Run `celery worker` on the bare app; yield its pid."""
    command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.bare", "worker", "-Q", "bare"]
    command += [
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--loglevel",
        "ERROR",
        *options,
    ]
    environment = os.environ | {"BARE_REDIS_URL": server.url}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def drain(client: redis.Redis, queue: str, messages: list[bytes]) -> float:
    """Push the messages, wait until as many results are stored, return the jobs/s between the two."""
    client.delete(*(client.keys("celery-task-meta-*") or ["none"]))
    others = client.dbsize()
    began = time.monotonic()
    with client.pipeline(transaction=False) as pipe:
        for start in range(0, len(messages), 500):
            pipe.lpush(queue, *messages[start : start + 500])
        pipe.execute()
    while len(client.keys("celery-task-meta-*")) < len(messages):
        if time.monotonic() - began > DEADLINE_SECONDS:
            raise TimeoutError(f"only {client.dbsize() - others} of {len(messages)} came back")
        time.sleep(0.02)  # the yardstick must not load Redis itself
    return len(messages) / (time.monotonic() - began)


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [str(pid), *children])
    return pages * 4096 / 1e6
