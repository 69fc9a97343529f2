"""Three Redis with two workers each are halted as one fleet, while one of them is frozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.halting import PROMISED_MS, fill
from tests.faults.rig.promise import verdict, within

CALLS = 20
WAIT_SECONDS = 60
NAMES = ["eu-1", "eu-2", "eu-3"]


@pytest.fixture
def fleets() -> Iterator[list[Fleet]]:
    with ExitStack() as ending:
        opened = [ending.enter_context(fleet(persistent=False)) for _ in NAMES]
        settings = {"SLOTGEN_CONTROL_READ_TIMEOUT_MS": "5000"}
        with ThreadPoolExecutor() as starting:
            list(starting.map(lambda each: each.start_workers(2, concurrency=CALLS, **settings), opened))
        yield opened
        # A frozen one would hold up its workers' end.
        opened[2].server.thaw()


@pytest.fixture
def file(fleets, tmp_path) -> Path:
    path = tmp_path / "redis.txt"
    path.write_text("".join(f"{name} {each.server.url}\n" for name, each in zip(NAMES, fleets, strict=True)))
    return path


def halted(file: Path, code: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "kill", "--each", file, "--json"],
        env={name: value for name, value in os.environ.items() if not name.startswith("SLOTGEN_")},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == code, done
    return done.stdout


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_a_frozen_redis_is_named_and_delays_no_other(fleets, file, saw):
    pending = [fill(each, CALLS) for each in fleets]
    fleets[2].server.freeze()

    document = json.loads(halted(file, 1))

    assert document["halted"] is False
    first, second, frozen = document["redis"]
    for each in (first, second):
        assert (each["workers"], each["confirmed"], each["cancelledCalls"]) == (2, 2, CALLS)
    assert frozen["name"] == "eu-3"
    assert frozen["error"].startswith(f"NOT HALTED BY THIS COMMAND: Redis at {fleets[2].server.url} did not")
    for each, task_ids in zip(fleets[:2], pending, strict=False):
        assert each.fake_openai.journal.counts().in_flight == 0
        assert set(each.codes_of(task_ids)) == {"KILL_SWITCH"}
    # Its workers have halted by themselves, for they could not see that they may go on.
    fleets[2].fake_openai.journal.wait_until(lambda counts: counts.in_flight == 0, WAIT_SECONDS)

    fleets[2].server.thaw()
    again = json.loads(halted(file, 0))
    assert [each["confirmed"] for each in again["redis"]] == [2, 2, 2]
    assert [each.client.get("slotgen:kill") for each in fleets] == [b"true"] * 3
    halt_ms = max(first["milliseconds"], second["milliseconds"])
    saw(
        "several Redis",
        f"three Redis with 2 workers and {CALLS} calls in flight each, one frozen, slotgen kill --each",
        f"the others confirmed after {halt_ms:.0f} ms; the frozen one was named, and halted once it went on",
        f"<= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
    )
    within(halt_ms, PROMISED_MS)
