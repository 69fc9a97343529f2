"""The brake: from the SET to the last connection closed, with hundreds of calls in flight on one worker.

Beside it, in the same run and against the same server, a process that cancels as many plain aiohttp
requests. Both are timed from this process, before the SET and before the line that says "cancel", to the
server's note of the last closed connection: the monotonic clock is one for all processes of a machine.

What must not compete with the two that are measured: this process sleeps meanwhile; the server has one of
its own, and does nothing but note; the worker writes its log (hundreds of lines right after a halt) into a
file, where a pipe would wake a reader for each of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import redis

from tests.benchmarks.calls.fake_openai import StandInProcess, fake_openai
from tests.benchmarks.rig.messages import id_of, message, push
from tests.benchmarks.rig.row import Row, at_most
from tests.benchmarks.rig.workers import DEADLINE_SECONDS, await_results, drain, forget_results, result_key
from tests.builders import a_job, a_spec, new_job, open_dials
from tests.redis_server.server import EmbeddedRedis
from worker.dev.stack import worker_environment

IN_FLIGHT = 500
# Of a p99 of so few, the worst is the honest figure.
RUNS = 30
SHAPES = {1: "one job in a message", 50: "50 jobs in a message"}
# The calls shall simply be in flight: the worker is busy for a moment with those it has just begun.
SETTLE_SECONDS = 0.7
# A look at the server while its connections close would slow what it measures.
QUIET_SECONDS = 0.4


def run() -> Iterator[Row]:
    """Yield the rows."""
    with ExitStack() as running:
        model = running.enter_context(fake_openai("tests.benchmarks.calls.held_lines"))
        server = running.enter_context(EmbeddedRedis())
        environment = worker_environment(server.url, model.base_url)
        client = running.enter_context(redis.Redis.from_url(server.url))
        running.enter_context(worker(client, environment))
        cancelling = running.enter_context(bare_requests(environment))
        bare, halts = [], {jobs: [] for jobs in SHAPES}
        for _ in range(RUNS):
            bare.append(one_cancelling(model, cancelling))
            for jobs, found in halts.items():
                found.append(one_halt(model, client, jobs))
    yardstick = max(bare)
    yield Row(f"cancelling {IN_FLIGHT} bare asyncio requests, {RUNS} runs", distribution(bare))
    for jobs, found in halts.items():
        yield at_most(
            f"halt with {IN_FLIGHT} calls in flight, {SHAPES[jobs]}, p99 (worst of {RUNS})",
            max(found),
            60,
            " ms",
            figure=distribution(found),
        )
        yield Row("  worst halt / worst cancelling", f"{max(found) / yardstick:.2f}")


def distribution(ms: list[float]) -> str:
    ordered = sorted(ms)
    return (
        f"p50 {ordered[len(ms) // 2]:.0f} ms, p90 {ordered[len(ms) * 9 // 10]:.0f}, worst {ordered[-1]:.0f}"
    )


def one_halt(model: StandInProcess, client: redis.Redis, jobs: int, number: int = IN_FLIGHT) -> float:
    """Return the milliseconds of one halt of `number` calls; `jobs` is how many one message has."""
    client.mset(open_dials())
    ids = in_flight(model, client, jobs, number)
    ms = closed_after_ms(model, lambda: client.set("slotgen:kill", "true"))
    await_results(client, ids)
    forget_results(client, ids)
    return ms


def in_flight(model: StandInProcess, client: redis.Redis, jobs: int, number: int = IN_FLIGHT) -> list[str]:
    """Send messages until `number` calls are in flight; return the task ids.

    If a dial is read too late, its job is a STUB, and another takes its place. A job that is only slow to
    begin must not be replaced: the halt would make the one too many a STUB.
    """
    ids, sent, deadline_mono = [], 0, time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline_mono:
        missing = number - (sent - ended(client, ids))
        sizes = [jobs] * (missing // jobs) + [1] * (missing % jobs)
        messages = [message("slotgen.generate", [spec_of(size)], "slotgen") for size in sizes]
        push(client, "slotgen", messages)
        ids += map(id_of, messages)
        sent += missing
        if settled(model, number) == number:
            return ids
    raise TimeoutError(f"{number} calls were never in flight")


def ended(client: redis.Redis, ids: list[str]) -> int:
    """Return how many jobs of these tasks have their outcome."""
    metas = [json.loads(each) for each in client.mget(["none", *map(result_key, ids)]) if each]
    finished = sum(len(each["result"]) for each in metas if each["status"] == "SUCCESS")
    return finished + sum(each["result"]["done"] for each in metas if each["status"] == "PROGRESS")


def spec_of(jobs: int) -> dict[str, object]:
    return a_spec(*(new_job() for _ in range(jobs)))


def settled(model: StandInProcess, number: int = IN_FLIGHT) -> int:
    """Return how many calls are in flight once all are, or no more come."""
    before = -1
    while before < (now := model.wait_until(lambda counts: counts.in_flight == number, 1).in_flight):
        if now == number:
            break
        before = now
    return now


def one_cancelling(model: StandInProcess, process: subprocess.Popen[str]) -> float:
    """Return the milliseconds of one cancelling by the yardstick."""
    tell(process, "begin")
    assert settled(model) == IN_FLIGHT
    return closed_after_ms(model, lambda: tell(process, "cancel"))


def closed_after_ms(model: StandInProcess, act: Callable[[], object]) -> float:
    """Do `act`, and return the milliseconds from before it until the last connection was closed."""
    time.sleep(SETTLE_SECONDS)
    began_mono = time.monotonic()
    act()
    time.sleep(QUIET_SECONDS)
    counts = model.wait_until(lambda counts: not counts.open_connections, DEADLINE_SECONDS)
    assert not counts.open_connections
    return (counts.last_connection_closed_mono - began_mono) * 1000


def tell(process: subprocess.Popen[str], word: str) -> None:
    print(word, file=process.stdin, flush=True)


@contextmanager
def worker(client: redis.Redis, environment: dict[str, str]) -> Iterator[None]:
    """Run a worker that is ready."""
    command = [sys.executable, "-m", "worker.cli", "worker"]
    command += ["--metrics-port", "0", "--concurrency", str(IN_FLIGHT)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            drain(client, "slotgen", [message("slotgen.generate", [a_spec(a_job())], "slotgen")])
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)


@contextmanager
def bare_requests(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run the yardstick."""
    command = [sys.executable, "-m", "tests.benchmarks.calls.bare_requests", str(IN_FLIGHT)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()  # its loop ends, and it with it
