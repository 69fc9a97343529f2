"""`slotgen drill` and `slotgen preflight` on a running system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid

import pytest

from tasks.operations.drill import confirmation_check, outcomes_check
from tests.builders import a_job, a_spec
from tests.tasks.operations.past import an_outcome
from worker.adapters.redis_drills import RedisDrills
from worker.dev.openai_stand_in import Behaviour
from worker.dev.stack import worker_environment


@pytest.fixture
def slotgen(system):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "worker.cli", *words],
            env=worker_environment(system.stack.redis_url, None),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def dials(system):
    return system.stack.client.mget(
        "slotgen:kill", "slotgen:feature", "slotgen:rollout_percent", "slotgen:allowlist"
    )


class TestDrill:
    def test_halts_under_load_verifies_and_puts_everything_back(self, system, slotgen):
        system.stand_in.behave(Behaviour(delay_seconds=60))
        pending = [system.send(a_spec(a_job(str(uuid.uuid4())))) for _ in range(10)]
        system.stand_in.journal.wait_until(lambda counts: counts.in_flight == 10, 20)
        before = dials(system)

        done = slotgen("drill", "--yes", "--json")

        told = json.loads(done.stdout)
        assert (done.returncode, told["passed"], told["cancelledCalls"]) == (0, True, 10)
        assert told["haltMs"] < 1000
        assert [each["passed"] for each in told["checks"]] == [True] * 3
        assert dials(system) == before
        assert {each.get(timeout=30)[0]["status"] for each in pending} == {"STUB"}
        kept = RedisDrills(system.stack.client, "slotgen").last()
        assert (kept.passed, kept.cancelled_calls, len(kept.checks)) == (True, 10, 3)

    @pytest.mark.parametrize("kill", ["true", None, " False "])
    def test_twice_gives_the_same_verdict_and_the_same_dials(self, system, slotgen, kill):
        system.set_dials(kill=kill)
        before = dials(system)

        verdicts = [json.loads(slotgen("drill", "--yes", "--json").stdout)["passed"] for _ in range(2)]

        assert verdicts == [True, True]
        assert dials(system) == before

    def test_never_releases_a_brake_that_somebody_else_has_pulled(self, system):
        drill = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "drill", "--yes", "--json"],
            env=worker_environment(system.stack.redis_url, None),
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_for_kill(system)
        subprocess.run(
            [sys.executable, "-m", "worker.cli", "kill", "--actor", "bob"],
            env=worker_environment(system.stack.redis_url, None),
            capture_output=True,
            check=True,
        )

        told = json.loads(drill.communicate(timeout=60)[0])

        assert drill.returncode == 1
        assert told["checks"][-1]["seen"] == "bob changed kill meanwhile; the brake stays on"
        assert system.stack.client.get("slotgen:kill") == b"true"

    def test_that_is_interrupted_releases_what_it_pulled(self, system):
        before = dials(system)
        drill = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "drill", "--yes"],
            env=worker_environment(system.stack.redis_url, None),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_kill(system)
        os.kill(drill.pid, signal.SIGINT)

        _, error = drill.communicate(timeout=60)

        assert drill.returncode != 0
        assert "Traceback" not in error
        assert dials(system) == before

    def test_asks_first(self, system, slotgen):
        before = dials(system)

        done = slotgen("drill")

        assert done.returncode == 1
        assert dials(system) == before

    def test_runs_on_this_machine_alone(self, system, slotgen):
        before = dials(system)

        done = slotgen("drill", "--embedded", "--json")

        assert json.loads(done.stdout)["passed"]
        assert json.loads(done.stdout)["cancelledCalls"] >= 10
        assert dials(system) == before


def wait_for_kill(system):
    """Return once somebody has set the kill dial to true."""
    pulled = threading.Event()
    channel = system.stack.client.pubsub()
    channel.subscribe("slotgen:halts")
    for message in channel.listen():
        if message["type"] == "message":
            pulled.set()
            break
    channel.close()
    assert pulled.is_set()


class TestVerdicts:
    def test_one_silent_worker_fails(self):
        assert not confirmation_check(2, 1, 5.0).passed
        assert not confirmation_check(2, 2, 1001.0).passed
        assert not confirmation_check(0, 0, 1.0).passed

    def test_one_outcome_that_is_not_by_the_brake_fails(self):
        held = an_outcome(status="STUB", error_code="KILL_SWITCH", path="stub")
        stray = an_outcome("stray-1", status="STUB", error_code="NOT_ALLOWLISTED", path="stub")

        assert outcomes_check([held] * 3, 3, 3).passed
        assert not outcomes_check([held] * 2, 2, 3).passed
        assert not outcomes_check([held] * 3 + [stray], 3, 3).passed
        assert not outcomes_check([held] * 3 + [an_outcome()], 3, 3).passed


class TestPreflight:
    def marks(self, done):
        return {each["name"]: each["mark"] for each in json.loads(done.stdout)}

    def test_proves_dominance_and_telemetry_on_the_real_route_while_halted(self, system, slotgen):
        system.set_dials(kill="true")
        before = dials(system)

        marks = self.marks(slotgen("preflight", "--json"))

        assert marks["kill-switch dominates on the real route"] == "pass"
        assert marks["telemetry is validated on the real route"] == "pass"
        assert marks["CI is green on main"] == "to confirm"
        assert dials(system) == before

    def test_leaves_a_released_brake_alone_and_sends_nothing_to_the_model(self, system, slotgen):
        begun = system.stand_in.journal.counts().begun

        marks = self.marks(slotgen("preflight", "--json"))

        assert marks["kill-switch dominates on the real route"] == "to confirm"
        assert marks["telemetry is validated on the real route"] == "pass"
        assert system.stand_in.journal.counts().begun == begun

    def test_fails_with_evidence_and_remedy(self, system, slotgen):
        system.set_dials(allowlist="{")

        done = slotgen("preflight", "--json")

        found = {each["name"]: each for each in json.loads(done.stdout)}
        assert done.returncode == 1
        assert found["allowlist is schema-valid and deny-by-default"]["mark"] == "fail"
        assert (
            found["allowlist is schema-valid and deny-by-default"]["remedy"] == "slotgen allowlist push FILE"
        )
        # The embedded Redis of the tests does not persist, and that is said.
        assert found["Redis keeps the queue over a crash"]["evidence"] == "appendonly no"
