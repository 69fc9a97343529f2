"""How soon a command answers: `slotgen --help` and `slotgen kill`, the median of some runs."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from worker.dev.embedded_redis import EmbeddedRedis
from worker.dev.stack import worker_environment

RUNS = 11


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    with EmbeddedRedis() as server:
        environment = worker_environment(server.url, None)
        return [
            (f"slotgen {words}, median of {RUNS}", f"{seconds(environment, words):.2f} s", "<= 0.4 s")
            for words in ("--help", "kill")
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
