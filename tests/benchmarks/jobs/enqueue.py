"""10,000 specs through `slotgen enqueue --wait`: answers in order, time, memory of the producer, the bar."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.benchmarks.rig.row import Row, at_most, holds
from tests.benchmarks.rig.workers import memory_mb
from tests.builders import a_job, a_spec, open_dials
from worker.dev.stack import Stack, stack, worker_environment

SPECS = 10_000


def run() -> list[Row]:
    """Return the rows."""
    with stack(concurrency=100) as system, tempfile.TemporaryDirectory() as folder:
        system.client.mset(open_dials(rollout_percent="50"))
        file = Path(folder) / "specs.jsonl"
        with file.open("w") as lines:
            for each in range(SPECS):
                # Half are verbatim, a quarter outside the rollout, a quarter generated.
                job = a_job(f"job-{each}", mode="verbatim" if each % 2 else "generate", input={"topic": each})
                lines.write(json.dumps(a_spec(job)) + "\n")
        answers, screen, seconds, memory = _enqueue(system, file)
    in_order = [json.loads(each)["jobId"] for each in answers] == [f"job-{each}" for each in range(SPECS)]
    bar = re.findall(rf"(\d+)/{SPECS} specs", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen))
    quarter = memory[len(memory) // 4]
    return [
        holds(
            f"enqueue --wait, {SPECS:,} specs",
            f"{len(answers):,} answered, {'' if in_order else 'NOT '}in order",
            f"{SPECS:,} in order",
            met=in_order,
        ),
        Row("  its time", f"{seconds:.0f} s, {SPECS / seconds:.0f} specs/s"),
        at_most(
            "  memory at the end / after a quarter",
            memory[-1] / quarter,
            1.1,
            figure=f"{memory[-1]:.0f} / {quarter:.0f} MB (most {max(memory):.0f})",
        ),
        holds("  the bar's last word", f"{bar[-1]}/{SPECS}", f"{SPECS}/{SPECS}", met=bar[-1] == str(SPECS)),
    ]


def _enqueue(system: Stack, file: Path) -> tuple[list[str], str, float, list[float]]:
    controller, terminal = pty.openpty()
    answers, memory, shown = file.with_name("answers"), [], bytearray()
    began = time.monotonic()
    with answers.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "enqueue", file, "--wait"],
            env=worker_environment(system.redis_url, None) | {"TERM": "xterm", "COLUMNS": "120"},
            stdout=out,
            stderr=terminal,
        )
    os.close(terminal)
    reader = threading.Thread(target=_read, args=(controller, shown))
    reader.start()
    while process.poll() is None:
        memory.append(memory_mb(process.pid))
        time.sleep(0.25)  # a sample, not a wait
    reader.join()
    return answers.read_text().splitlines(), shown.decode(), time.monotonic() - began, memory[2:-1]


def _read(descriptor: int, into: bytearray) -> None:
    try:
        while part := os.read(descriptor, 65536):
            into += part
    except OSError:  # the other end is closed
        os.close(descriptor)
