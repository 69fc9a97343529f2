"""How soon a command answers, and a worker works: medians of some runs."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import redis

from tests.benchmarks.rig import bare_worker, message
from tests.builders import a_job, a_spec
from worker.dev.embedded_redis import EmbeddedRedis
from worker.dev.stack import worker_environment

RUNS = 11
STARTS = 5


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    with EmbeddedRedis() as server:
        environment = worker_environment(server.url, None)
        rows = [
            (f"slotgen {words}, median of {RUNS}", f"{seconds(environment, words):.2f} s", "<= 0.4 s")
            for words in ("--help", "kill")
        ]
        bare, ours = (
            median(start(server, environment) for _ in range(STARTS)) for start in (bare_start, our_start)
        )
    return [
        *rows,
        (
            "start to the first answer: bare celery worker / slotgen worker",
            f"{bare:.2f} s / {ours:.2f} s",
            "",
        ),
        ("  slotgen worker / bare celery worker", f"{ours / bare:.2f}", "<= 1.3"),
    ]


def seconds(environment: dict[str, str], words: str) -> float:
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "worker.cli", words], env=environment, capture_output=True, check=True
        )
        taken.append(time.perf_counter() - began)
    return median(taken)


def bare_start(server: EmbeddedRedis, _: dict[str, str]) -> float:
    waiting = message("bare.nothing", [1], "bare")
    with redis.Redis.from_url(server.url) as client:
        client.lpush("bare", waiting)
        began = time.perf_counter()
        with bare_worker(server, "--pool", "threads", "--concurrency", "100"):
            return answered(client) - began


def our_start(server: EmbeddedRedis, environment: dict[str, str]) -> float:
    with redis.Redis.from_url(server.url) as client:
        client.lpush("slotgen", message("slotgen.generate", [a_spec(a_job())], "slotgen"))
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "worker.cli",
            "worker",
            "--metrics-port",
            "0",
            "--concurrency",
            "100",
        ]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            return answered(client) - began
        finally:
            process.terminate()
            process.wait(30)


def answered(client: redis.Redis) -> float:
    """Return when the one result was there, and forget it."""
    while not (found := client.keys("celery-task-meta-*")):
        time.sleep(0.005)  # the yardstick must not load the machine
    at = time.perf_counter()
    client.delete(*found)
    return at
