"""Model calls: the worker's CPU for one, hundreds at once in one process, thousands over two."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.rig import DEADLINE_SECONDS, memory_mb, message
from tests.builders import a_job, a_spec, open_dials
from worker.dev.openai_stand_in import Behaviour
from worker.dev.stack import Stack, WorkerProcess, stack, worker_environment

TICKS = 100  # of a second, as /proc counts


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    return [*cpu_of_a_call(500), *slow_calls(800, 400, 5.0), *over_two_processes(2000, 1.0)]


def cpu_of_a_call(number: int) -> list[tuple[str, str, str]]:
    """The worker's CPU between two runs of quick calls, against the plain SDK's in a loop."""
    with opened(50) as system:
        answered(system, jobs(50, "warm"), Behaviour())
        before = cpu_seconds(system.worker.pid)
        answered(system, jobs(number, "cpu"), Behaviour())
        ours = (cpu_seconds(system.worker.pid) - before) / number * 1000
        bare = sdk(system, "loop", number, 1)["cpu_seconds"] / number * 1000
    return [
        ("model call, CPU: plain SDK in a loop / worker", f"{bare:.2f} ms / {ours:.2f} ms", ""),
        ("  worker / plain SDK", f"{ours / bare:.2f}", "<= 0.5"),
    ]


def slow_calls(number: int, concurrency: int, seconds: float) -> list[tuple[str, str, str]]:
    """Calls that take their time, in one process."""
    with opened(concurrency) as system:
        answered(system, jobs(20, "warm"), Behaviour())
        taken = answered(system, jobs(number, "slow"), Behaviour(delay_seconds=seconds))
        memory = memory_mb(system.worker.pid)
    ideal = number / concurrency * seconds
    return [
        (
            f"{number} calls of {seconds:g} s, concurrency {concurrency} / {ideal:g} s",
            f"{taken / ideal:.2f} ({taken:.1f} s)",
            "<= 1.15",
        ),
        ("  resident memory", f"{memory:.0f} MB", "<= 250 MB"),
    ]


def over_two_processes(number: int, seconds: float) -> list[tuple[str, str, str]]:
    """Throughput of two workers against two processes of the bare async SDK, as many calls at once each."""
    concurrency = 200
    with opened(concurrency) as system:
        second = WorkerProcess(
            worker_environment(system.redis_url, system.openai_url),
            system.log_path.with_name("second.log"),
            lambda _: None,
        )
        second.start(["--metrics-port", "0", "--concurrency", str(concurrency)])
        try:
            answered(system, jobs(40, "warm"), Behaviour())
            ours = number / answered(system, jobs(number, "two"), Behaviour(delay_seconds=seconds))
        finally:
            second.stop()
        system.worker.stop()
        began = time.monotonic()
        both = [begun(system, "async", number // 2, concurrency) for _ in range(2)]
        longest = max(json.loads(each.communicate(timeout=DEADLINE_SECONDS)[0])["seconds"] for each in both)
        assert time.monotonic() - began >= longest
    bare = number / longest
    return [
        (
            f"{number} calls of {seconds:g} s over 2 processes: worker / bare async SDK",
            f"{ours:.0f} / {bare:.0f} calls/s",
            "",
        ),
        ("  worker / bare async SDK", f"{ours / bare:.2f}", ">= 0.85"),
    ]


@contextmanager
def opened(concurrency: int) -> Iterator[Stack]:
    """A system with every dial open."""
    with stack(concurrency=concurrency) as system:
        system.client.mset(open_dials())
        yield system


def jobs(number: int, name: str) -> list[bytes]:
    # Topics differ, so that no answer is served from another's.
    specs = [a_spec(a_job(f"{name}-{each}", input={"topic": f"{name}-{each}"})) for each in range(number)]
    return [message("slotgen.generate", [each], "slotgen") for each in specs]


def answered(system: Stack, messages: list[bytes], behaviour: Behaviour) -> float:
    """Push the messages; return the seconds until as many more results are stored."""
    system.stand_in.behave(behaviour)
    ids = [f"celery-task-meta-{json.loads(each)['headers']['id']}" for each in messages]
    began = time.monotonic()
    system.client.lpush("slotgen", *messages)
    while system.client.exists(*ids) < len(ids):
        if time.monotonic() - began > DEADLINE_SECONDS:
            raise TimeoutError(f"{system.client.exists(*ids)} of {len(ids)} came back")
        time.sleep(0.05)  # the yardstick must not load Redis itself
    return time.monotonic() - began


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def begun(system: Stack, kind: str, number: int, concurrency: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.sdk", kind, str(number), str(concurrency)]
    environment = worker_environment(system.redis_url, system.openai_url)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def sdk(system: Stack, kind: str, number: int, concurrency: int) -> dict[str, float]:
    found: dict[str, float] = json.loads(begun(system, kind, number, concurrency).communicate()[0])
    return found
