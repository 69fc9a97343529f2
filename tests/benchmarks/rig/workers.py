"""What every benchmark needs: worker processes on one Redis, the way to their results, a clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from tests.benchmarks.rig.messages import id_of, push
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import Stack, WorkerProcess, worker_environment

DEADLINE_SECONDS = 300


@contextmanager
def bare_worker(server: EmbeddedRedis, *options: str) -> Iterator[int]:
    """Run `celery worker` on the bare app; yield its pid."""
    command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.rig.bare", "worker", "-Q", "bare"]
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


@contextmanager
def more_workers(system: Stack, number: int, concurrency: int) -> Iterator[list[int]]:
    """Run `number` more workers beside the one of `system`; yield their pids."""
    with ExitStack() as ending:
        pids = []
        for each in range(number):
            log = system.worker.log_path.with_name(f"worker-{each + 2}.log")
            environment = worker_environment(system.redis_url, system.openai_url)
            worker = WorkerProcess(environment, log, lambda _: None)
            ending.callback(worker.stop)
            worker.start(["--metrics-port", "0", "--concurrency", str(concurrency)])
            pids.append(worker.pid)
        yield pids


def drain(client: redis.Redis, queue: str, messages: list[bytes]) -> float:
    """Push the messages, wait until each has its result, return the jobs/s between the two."""
    ids = list(map(id_of, messages))
    began_mono = time.monotonic()
    push(client, queue, messages)
    await_results(client, ids)
    rate = len(messages) / (time.monotonic() - began_mono)
    forget_results(client, ids)
    return rate


def await_results(client: redis.Redis, ids: list[str]) -> None:
    """Return once every task has its result. Raises TimeoutError.

    It asks for a hundred of them at a time, and never for one again that was there: asking for thousands at
    each look would take a tenth of the Redis and of the core that are measured.
    """
    deadline_mono = time.monotonic() + DEADLINE_SECONDS
    for start in range(0, len(ids), 100):
        some = [result_key(each) for each in ids[start : start + 100]]
        while client.exists(*some) < len(some):
            if time.monotonic() > deadline_mono:
                raise TimeoutError(f"not all of {len(ids)} results came in {DEADLINE_SECONDS} s")
            time.sleep(0.02)  # a sample, not a wait


def forget_results(client: redis.Redis, ids: list[str]) -> None:
    """Delete them, without holding Redis up."""
    with client.pipeline(transaction=False) as pipe:
        for start in range(0, len(ids), 500):
            pipe.unlink(*map(result_key, ids[start : start + 500]))
        pipe.execute()


def result_key(task_id: str) -> str:
    return f"celery-task-meta-{task_id}"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has taken so far, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [str(pid), *children])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
