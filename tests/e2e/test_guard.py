"""Answers turn bad while nobody looks: the fleet halts itself, and says why."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

import pytest

from tests.builders import a_spec, new_job
from tests.e2e.conftest import System, a_system
from tests.fakes.openai.server import Behaviour, Play
from tests.waiting import eventually
from worker.dev.stack import worker_environment

CONCURRENCY = 40
GOOD, SAMPLE, JOBS = 100, 50, 400
BY_THE_GUARD = 'slotgen_control_changed_timestamp_seconds{by="guard",control="kill"}'


@pytest.mark.timeout(180)
def test_answers_that_turn_bad_halt_the_fleet_within_the_sample():
    with a_system(concurrency=CONCURRENCY) as system:
        system.set_dials()
        bad = Behaviour(play=Play.SCHEMA_INVALID)
        system.fake_openai.play_next(*[Behaviour()] * GOOD)
        system.fake_openai.behave(bad)
        jobs = [new_job() for _ in range(JOBS)]
        pending = [system.send(a_spec(*jobs[start : start + 5])) for start in range(0, len(jobs), 5)]

        statuses = [result["status"] for each in pending for result in each.get(timeout=120)]

        begun = system.fake_openai.journal.counts().begun
        # Of the latest 50 a fifth may be unusable; what was in flight by then is all that was sent besides.
        # Each unusable answer is asked for once more, and its job counts once.
        assert GOOD <= begun <= GOOD + 2 * (SAMPLE * 0.2 + 1 + CONCURRENCY)
        # What was never sent is a STUB, and so is what the halt found in flight.
        least_asked = GOOD + (begun - GOOD) / 2
        assert len(jobs) - begun <= statuses.count("STUB") <= len(jobs) - least_asked + CONCURRENCY
        halt = system.wait_for_line(lambda line: line["event"] == "guard_halted")
        assert system.lines.events.count("guard_halted") == 1
        assert "unusable: OUTPUT_SCHEMA_INVALID; at most 0.2" in halt["reason"]
        told = json.loads(slotgen(system, "audit", "--limit", "1", "--json"))
        assert (told[0]["actor"], told[0]["reason"]) == ("guard", halt["reason"])
        assert halt["reason"] in " ".join(slotgen(system, "status").split())
        # A worker records changes beside its jobs.
        eventually(lambda: BY_THE_GUARD in scraped(system))


def scraped(system: System) -> str:
    with urllib.request.urlopen(system.stack.metrics_url, timeout=5) as page:
        return page.read().decode()


def slotgen(system: System, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *words],
        env=worker_environment(system.stack.redis_url, None) | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
