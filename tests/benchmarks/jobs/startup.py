"""How soon a command answers, and a worker works: medians of some runs, in turns with their yardsticks.

A start is timed, on both sides, from the spawn of the process to the first answer of a message that waits.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from statistics import median

import redis

from tests.benchmarks.rig.messages import id_of, message, push
from tests.benchmarks.rig.row import Row, at_most
from tests.benchmarks.rig.workers import await_results, bare_worker, forget_results
from tests.builders import a_job, a_spec
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import stack, worker_environment

RUNS = 11
STARTS = 7
CONCURRENCY = 100
POOL = ("--pool", "threads", "--concurrency", str(CONCURRENCY))
MESSAGES = {"bare": ("bare.nothing", 1), "slotgen": ("slotgen.generate", a_spec(a_job()))}


def run() -> Iterator[Row]:
    """Yield the rows."""
    # With a worker that has to confirm the halt, as in production.
    with stack(concurrency=CONCURRENCY) as system:
        environment = worker_environment(system.redis_url, None)
        slotgen = [sys.executable, "-m", "worker.cli"]
        script = f"import redis; redis.Redis.from_url({system.redis_url!r}).set('slotgen:kill', 'true')"
        shown, killed, bare = (
            median(each)
            for each in in_turns(
                RUNS,
                lambda: command_seconds([*slotgen, "--help"], environment),
                lambda: command_seconds([*slotgen, "kill"], environment),
                lambda: command_seconds([sys.executable, "-c", script], environment),
            )
        )
    yield at_most(
        f"slotgen kill, one worker to confirm it / python -c 'import redis' and SET, medians of {RUNS}",
        killed / bare,
        2,
        figure=f"{killed / bare:.2f} ({killed:.2f} / {bare:.2f} s)",
    )
    yield at_most("slotgen --help", shown, 0.4, " s")
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        environment = worker_environment(server.url, None)
        bare, ours = (
            median(each)
            for each in in_turns(
                STARTS,
                lambda: start_seconds(client, "bare", bare_worker(server, *POOL)),
                lambda: start_seconds(client, "slotgen", our_worker(environment)),
            )
        )
    yield at_most(
        f"start to the first answer: slotgen worker / bare celery worker, medians of {STARTS}",
        ours / bare,
        1.3,
        figure=f"{ours / bare:.2f} ({ours:.2f} / {bare:.2f} s)",
    )


def in_turns(rounds: int, *each: Callable[[], float]) -> list[list[float]]:
    """Return what each gave, one after the other in every round: all of them meet the same machine."""
    return [list(found) for found in zip(*([one() for one in each] for _ in range(rounds)), strict=True)]


def command_seconds(command: list[str], environment: dict[str, str]) -> float:
    began_mono = time.monotonic()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return time.monotonic() - began_mono


def start_seconds(client: redis.Redis, queue: str, worker: AbstractContextManager[object]) -> float:
    """Return the seconds from the spawn, which entering `worker` is, to the first answer."""
    task, argument = MESSAGES[queue]
    waiting = message(task, [argument], queue)
    push(client, queue, [waiting])
    began_mono = time.monotonic()
    with worker:
        await_results(client, [id_of(waiting)])
        seconds = time.monotonic() - began_mono
    forget_results(client, [id_of(waiting)])
    return seconds


@contextmanager
def our_worker(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "worker.cli", "worker"]
    command += ["--metrics-port", "0", "--concurrency", str(CONCURRENCY)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
