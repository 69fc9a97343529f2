"""Model calls: the worker's CPU for one, hundreds at once in one process, thousands over two.

"The plain SDK in a loop" can be read in two ways, and so can "a model call": all of them are shown. The
target is for like against like: the adapter's call alone, against `responses.create` of the plain async
client, both with hundreds in flight on one event loop. The whole job does much that no SDK does (queue,
gates, budget, claims, acceptance, results, telemetry).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import monotonic

from tests.benchmarks.calls.fake_openai import StandInProcess, fake_openai
from tests.benchmarks.rig.messages import generated, id_of, push
from tests.benchmarks.rig.row import Row, at_least, at_most
from tests.benchmarks.rig.workers import await_results, cpu_seconds, forget_results, memory_mb, more_workers
from tests.builders import open_dials
from worker.dev.stack import Stack, stack, worker_environment

ROUNDS = 3
IN_FLIGHT = 400
# Long enough that the calls of one wave are all in flight before the first is answered.
DELAY_SECONDS = 1.0


def run() -> Iterator[Row]:
    """Yield the rows."""
    yield from cpu_of_a_call(1200)
    yield from slow_calls(800, IN_FLIGHT, 5.0)
    yield from over_two_processes(2000, 1.0)


def cpu_of_a_call(number: int) -> Iterator[Row]:
    """CPU of one call in four ways, in turns, medians of some rounds."""
    found: dict[str, list[float]] = {"job": [], "adapter": [], "async": [], "loop": []}
    with opened(IN_FLIGHT) as (system, model):
        answered(system, generated(range(100), "warm"))
        for each in range(ROUNDS):
            model.delay(DELAY_SECONDS)
            before = cpu_seconds(system.worker.pid)
            answered(system, generated(range(number), f"round {each}"))
            found["job"].append((cpu_seconds(system.worker.pid) - before) / number)
            for kind in ("adapter", "async"):
                found[kind].append(sdk(model, kind, number, IN_FLIGHT)["cpu_seconds"] / number)
            model.delay(0)
            found["loop"].append(sdk(model, "loop", number // 4, 1)["cpu_seconds"] / (number // 4))
    ms = {kind: median(each) * 1000 for kind, each in found.items()}
    adapter, job, plain, loop = (ms[kind] for kind in ("adapter", "job", "async", "loop"))
    yield at_most(
        f"model call, CPU, {IN_FLIGHT} in flight: the worker's adapter / plain AsyncOpenAI",
        adapter / plain,
        0.5,
        figure=f"{adapter / plain:.2f} ({adapter:.2f} / {plain:.2f} ms)",
    )
    yield at_most(
        "  the whole job in the worker / plain AsyncOpenAI",
        job / plain,
        0.6,
        figure=f"{job / plain:.2f} ({job:.2f} / {plain:.2f} ms)",
    )
    yield Row(
        "  the whole job in the worker / plain OpenAI, sync, one call at a time",
        f"{job / loop:.2f} ({job:.2f} / {loop:.2f} ms)",
    )
    yield Row(
        "  the worker's adapter / plain OpenAI, sync, one call at a time",
        f"{adapter / loop:.2f} ({adapter:.2f} / {loop:.2f} ms)",
    )


def slow_calls(number: int, concurrency: int, seconds: float) -> Iterator[Row]:
    """Calls that take their time, in one process; the bare SDK beside it shows what the machine can do."""
    with opened(concurrency) as (system, model):
        answered(system, generated(range(20), "warm"))
        model.delay(seconds)
        taken = answered(system, generated(range(number), "slow"))
        memory = memory_mb(system.worker.pid)
        bare = sdk(model, "async", number, concurrency)
    ideal = number / concurrency * seconds
    yield at_most(
        f"{number} calls of {seconds:g} s, concurrency {concurrency}, one process / {ideal:g} s",
        taken / ideal,
        1.15,
        figure=f"{taken / ideal:.2f} ({taken:.1f} s)",
    )
    yield Row("  the bare async SDK", f"{bare['seconds'] / ideal:.2f} ({bare['seconds']:.1f} s)")
    yield at_most("  resident memory of the worker", memory, 140, " MB")
    yield Row("  of the bare async SDK", f"{bare['memory_mb']:.0f} MB")


def over_two_processes(number: int, seconds: float) -> Iterator[Row]:
    """Throughput of two workers against two processes of the bare async SDK, as many calls at once each."""
    concurrency = 200
    ours, bare = [], []
    with opened(concurrency) as (system, model), more_workers(system, 1, concurrency):
        answered(system, generated(range(40), "warm"))
        model.delay(seconds)
        for each in range(ROUNDS):
            ours.append(number / answered(system, generated(range(number), f"two {each}")))
            both = together(model, "async", number // 2, concurrency, processes=2)
            bare.append(number / max(process["seconds"] for process in both))
    rate, yardstick = median(ours), median(bare)
    yield at_least(
        f"{number} calls of {seconds:g} s over 2 processes: workers / bare async SDK, medians of {ROUNDS}",
        rate / yardstick,
        0.85,
        figure=f"{rate / yardstick:.2f} ({rate:.0f} / {yardstick:.0f} calls/s)",
    )


@contextmanager
def opened(concurrency: int) -> Iterator[tuple[Stack, StandInProcess]]:
    """A system with every dial open, and the stand-in that it calls."""
    with fake_openai() as model, stack(concurrency=concurrency, openai_url=model.base_url) as system:
        system.client.mset(open_dials())
        yield system, model


def answered(system: Stack, messages: list[bytes]) -> float:
    """Push the messages; return the seconds until each has its result."""
    ids = list(map(id_of, messages))
    began_mono = monotonic()
    push(system.client, "slotgen", messages)
    await_results(system.client, ids)
    taken = monotonic() - began_mono
    forget_results(system.client, ids)
    return taken


def sdk(model: StandInProcess, kind: str, number: int, concurrency: int) -> dict[str, float]:
    return together(model, kind, number, concurrency, processes=1)[0]


def together(
    model: StandInProcess, kind: str, number: int, concurrency: int, *, processes: int
) -> list[dict[str, float]]:
    """Run that many sdk.py; return what each took for its calls, which all begin once all are warm."""
    command = [sys.executable, "-m", "tests.benchmarks.calls.sdk", kind, str(number), str(concurrency)]
    environment = worker_environment("", model.base_url)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as ending:
        begun = [subprocess.Popen(command, env=environment, **pipes) for _ in range(processes)]
        for each in begun:
            ending.enter_context(each)
            ending.callback(each.kill)
        for each in begun:
            each.stdout.readline()
        for each in begun:
            print("go", file=each.stdin, flush=True)
        return [json.loads(each.stdout.readline()) for each in begun]
