"""Narrowing any dial reaches the jobs that wait for a slot; those whose request has left get their answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.builders import a_spec, an_allowlist
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, job_of
from tests.faults.rig.length import in_full
from tests.waiting import eventually

# As many calls are in flight; all other jobs of as many specs are admitted, and wait for a slot.
CONCURRENCY = 4
WAITING = 100
# Longer than a command takes to start on a busy machine: no slot is free before the dial is narrow.
CALL_SECONDS = 6
COMMANDS = [
    ("slotgen feature off", "FEATURE_DISABLED"),
    ("SET slotgen:rollout_percent 0", "ROLLOUT_EXCLUDED"),
    ("slotgen allowlist disable", "NOT_ALLOWLISTED"),
    ("slotgen rollout 0", "ROLLOUT_EXCLUDED"),
    ("SET slotgen:feature false", "FEATURE_DISABLED"),
    ("SET slotgen:rollout_percent ten", "ROLLOUT_EXCLUDED"),
    ("SET slotgen:allowlist POLICY", "NOT_ALLOWLISTED"),
    ("DEL slotgen:allowlist", "NOT_ALLOWLISTED"),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("command", "code"), COMMANDS[: in_full(len(COMMANDS), short=3)])
def test_no_request_leaves_for_the_jobs_that_wait(command, code, hurt, saw):
    hurt.fake_openai.behave(Behaviour(delay_seconds=CALL_SECONDS))
    before = hurt.fake_openai.journal.counts()
    names = [f"{command}-{number}" for number in range(CONCURRENCY + WAITING)]
    specs = [a_spec(*map(job_of, names[first::CONCURRENCY])) for first in range(CONCURRENCY)]
    sent = [hurt.celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in specs]
    hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == CONCURRENCY)

    narrow(hurt, command)

    results = [each for task_id in sent for each in finished(hurt, task_id)]
    assert Counter(each["status"] for each in results) == {"COMPLETED": CONCURRENCY, "STUB": WAITING}
    hurt.lines.wait_for(lambda lines: len(ends(lines, sent)) == len(names))
    assert Counter(ends(hurt.lines, sent)) == {(None, "openai"): CONCURRENCY, (code, "stub"): WAITING}
    after = hurt.fake_openai.journal.counts()
    assert (after.begun - before.begun, after.completed - before.completed) == (CONCURRENCY, CONCURRENCY)
    saw(
        "narrowing",
        f"{WAITING} jobs admitted and waiting, {CONCURRENCY} calls in flight, {command}",
        f"0 requests left afterwards; {WAITING} STUB / {code}, {CONCURRENCY} COMPLETED",
        "no request after the next read; those in flight end",
    )


def finished(hurt: Fleet, task_id: str) -> list[dict[str, Any]]:
    """Return the results of a task, past the progress that it shows meanwhile."""

    def result() -> Any:
        outcome = hurt.outcome(task_id)
        return outcome["result"] if outcome["status"] == "SUCCESS" else None

    return eventually(result, within_seconds=60, saying=f"{task_id} never ended")


def ends(lines, task_ids):
    """Return errorCode and path of each outcome of these tasks."""
    told = [each["telemetry"] for each in lines.outcomes if each["details"]["task_id"] in task_ids]
    return [(each["errorCode"], each["path"]) for each in told]


def narrow(hurt: Fleet, command: str) -> None:
    program, *words = command.split()
    if program == "slotgen":
        environment = os.environ | {"SLOTGEN_REDIS_URL": hurt.server.url}
        subprocess.run([sys.executable, "-m", "worker.cli", *words], env=environment, check=True)
    else:
        disabled = an_allowlist(enabled=False)
        hurt.client.execute_command(program, *(disabled if each == "POLICY" else each for each in words))
