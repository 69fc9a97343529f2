"""Repeats `make test` and counts what failed how often; `make soak N=10` calls it.

Each run has another order, and every second one has two busy processes beside it.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table

from tests.surroundings import ROOT
from worker.dev.processes.watched import WatchedProcess

LOGS = ROOT / ".soak"
_BUSY = [sys.executable, "-c", "while True: pass"]
# An hour is ten times what a run takes on two cores that have other things to do.
_RUN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Repetition:
    """One run of the suite. `failed` has the names of tests; `code` is what pytest ended with."""

    number: int
    busy: bool
    seed: int
    tests: int
    failed: tuple[str, ...]
    code: int
    seconds: float


def repeat(number: int, seed: int, *, busy: bool) -> Repetition:
    report, log = LOGS / f"{number}.xml", LOGS / f"{number}.log"
    command = [sys.executable, "-m", "pytest", "--numprocesses", "4", "--dist", "worksteal"]
    command += ["-m", "not thorough", "-q", f"--junit-xml={report}"]
    command += ["--hypothesis-profile=explore", "--random-order-bucket=module", f"--random-order-seed={seed}"]
    with ExitStack() as ending, log.open("wb") as said:
        for _ in range(2 if busy else 0):
            ending.callback(WatchedProcess(_BUSY, subprocess.DEVNULL).end, signal.SIGKILL)
        began_mono = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, stdout=said, stderr=said, check=False, timeout=_RUN_SECONDS)
        seconds = time.monotonic() - began_mono
    cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    failed = tuple(
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    )
    return Repetition(number, busy, seed, len(cases), failed, done.returncode, seconds)


def show(runs: list[Repetition], console: Console) -> None:
    table = Table("run", "beside", "order", "tests", "failed", "seconds", title="the suite, again and again")
    for run in runs:
        beside = "two busy processes" if run.busy else "nothing"
        cells = (run.number, beside, run.seed, run.tests, len(run.failed), f"{run.seconds:.0f}")
        table.add_row(*map(str, cells))
    console.print(table)
    failures: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        for name in run.failed:
            failures[name].append(run.number)
    often = Table("test", "failed in", title="what failed how often")
    for name, numbers in sorted(failures.items(), key=lambda item: -len(item[1])):
        often.add_row(name, f"{len(numbers)} of {len(runs)}: runs {', '.join(map(str, numbers))}")
    if failures:
        console.print(often)


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir()
    runs: list[Repetition] = []
    for each in range(1, number + 1):
        run = repeat(each, random.randrange(10_000), busy=each % 2 == 0)
        runs.append(run)
        print(f"run {each} of {number}: {run.tests} tests, {len(run.failed)} failed", flush=True)
    show(runs, Console(width=130))
    # A run may also end red without a test to blame: a process left behind, a crash.
    red = [run.number for run in runs if run.code]
    if red:
        sys.exit(f"red: runs {', '.join(map(str, red))}; what they said is in {LOGS.name}/")


if __name__ == "__main__":
    main()
