"""`slotgen drill` and `slotgen preflight` on a running system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from gates import rollout
from tasks.operations.changes.dials import Change
from tests.builders import a_spec, new_job
from tests.e2e.conftest import WAIT_SECONDS
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.promise import within
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.drills import RedisDrills
from worker.adapters.redis.jobs.history import RedisHistory
from worker.dev.stack import worker_environment


def dials(system):
    return system.stack.client.mget(
        "slotgen:kill", "slotgen:feature", "slotgen:rollout_percent", "slotgen:allowlist"
    )


class TestDrill:
    def test_has_calls_of_its_own_in_flight_and_cancels_them(self, system, slotgen):
        # The first call of a worker takes longer to begin.
        system.send(a_spec(new_job())).get(timeout=WAIT_SECONDS)
        system.fake_openai.behave(Behaviour(delay_seconds=60))

        told = json.loads(slotgen("drill", "--yes", "--calls", "2", "--json").stdout)

        assert (told["passed"], told["cancelledCalls"], told["provedNothing"]) == (True, 2, False)
        ended = RedisHistory(system.stack.client, "slotgen").since(0, 1000)
        own = [each for each in ended if each.subject.job_id.startswith("drill-")][-2:]
        assert [(each.error_code, each.path) for each in own] == [("KILL_SWITCH", "openai")] * 2

    def test_halts_under_load_verifies_and_puts_everything_back(self, system, slotgen):
        system.fake_openai.behave(Behaviour(delay_seconds=60))
        pending = [system.send(a_spec(new_job())) for _ in range(10)]
        system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 10, WAIT_SECONDS)
        before = dials(system)

        done = slotgen("drill", "--yes", "--json")

        told = json.loads(done.stdout)
        assert (done.returncode, told["passed"], told["cancelledCalls"]) == (0, True, 13)
        assert [each["passed"] for each in told["checks"]] == [True] * 4
        assert told["haltMs"] > 0
        # The halt's 100 ms, and the way of the confirmations.
        within(told["haltMs"], 200)
        assert dials(system) == before
        assert {each.get(timeout=WAIT_SECONDS)[0]["status"] for each in pending} == {"STUB"}
        kept = RedisDrills(system.stack.client, "slotgen").last()
        assert (kept.passed, kept.cancelled_calls, len(kept.checks)) == (True, 13, 4)

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("kill", "why"),
        [("true", "the kill switch is on"), (None, "the kill dial is absent"), (" False ", "")],
    )
    def test_twice_gives_the_same_verdict_and_the_same_dials(self, system, slotgen, kill, why):
        system.fake_openai.behave(Behaviour(delay_seconds=60))
        system.set_dials(kill=kill)
        before = dials(system)
        drills = RedisDrills(system.stack.client, "slotgen")
        last = drills.last()

        told = [json.loads(slotgen("drill", "--yes", "--json").stdout) for _ in range(2)]

        # A fleet that is halted has no call to cancel: that is no proof, and no failure on record.
        assert [each["passed"] for each in told] == [not why] * 2
        assert [each["provedNothing"] for each in told] == [bool(why)] * 2
        assert why in told[0]["checks"][1]["seen"]
        assert (drills.last() == last) == bool(why)
        assert dials(system) == before

    def test_never_releases_a_brake_that_somebody_else_has_pulled(self, system):
        drill = begun(system)
        operators_dials(system).engage("bob", "slotgen kill", "")

        told = json.loads(drill.communicate(timeout=WAIT_SECONDS)[0])

        assert drill.returncode == 1
        assert told["checks"][-1]["seen"].startswith(
            "bob changed kill meanwhile (slotgen kill); the kill dial"
        )
        assert system.stack.client.get("slotgen:kill") == b"true"

    @pytest.mark.thorough
    @pytest.mark.parametrize("value", ["true", None])
    def test_never_releases_what_a_raw_command_has_pulled(self, system, value):
        drill = begun(system)
        if value is None:
            system.stack.client.delete("slotgen:kill")
        else:
            system.stack.client.set("slotgen:kill", value)

        told = json.loads(drill.communicate(timeout=WAIT_SECONDS)[0])

        assert drill.returncode == 1
        assert told["checks"][-1]["seen"].startswith("a raw Redis command changed kill meanwhile")
        assert system.stack.client.get("slotgen:kill") == (value and value.encode())

    @pytest.mark.thorough
    def test_leaves_the_brake_on_for_whoever_changes_another_dial_behind_it(self, system):
        drill = begun(system)
        bobs = operators_dials(system)
        bobs.change(Change(rollout.DIAL, b"5", "bob", "slotgen rollout 5"), bobs.read().version)

        told = json.loads(drill.communicate(timeout=WAIT_SECONDS)[0])

        assert "bob changed rollout_percent meanwhile" in told["checks"][-1]["seen"]
        assert system.stack.client.get("slotgen:kill") == b" true "

    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_that_is_interrupted_releases_what_it_pulled(self, system, ending):
        before = dials(system)
        drill = begun(system)
        os.kill(drill.pid, ending)

        _, error = drill.communicate(timeout=WAIT_SECONDS)

        assert drill.returncode > 0
        assert "Traceback" not in error
        assert dials(system) == before

    def test_that_is_interrupted_says_what_it_could_not_put_back(self, system):
        drill = begun(system)
        operators_dials(system).engage("bob", "slotgen kill", "")
        os.kill(drill.pid, signal.SIGINT)

        _, error = drill.communicate(timeout=WAIT_SECONDS)

        assert "bob changed kill meanwhile" in error
        assert system.stack.client.get("slotgen:kill") == b"true"

    def test_asks_first(self, system, slotgen):
        before = dials(system)

        done = slotgen("drill")

        assert done.returncode == 1
        assert dials(system) == before

    @pytest.mark.thorough
    def test_runs_on_this_machine_alone(self, system, slotgen):
        before = dials(system)

        done = slotgen("drill", "--embedded", "--json")

        assert json.loads(done.stdout)["passed"]
        assert json.loads(done.stdout)["cancelledCalls"] >= 10
        assert dials(system) == before


def operators_dials(system):
    """The dials as another operator changes them; a command of its own would come too late."""
    return RedisDials(system.stack.client, "slotgen")


def begun(system):
    """Return a drill that has pulled the brake, and has not put it back."""
    # Heard only once every message before it was: what an earlier test said must not count.
    channel = system.stack.client.pubsub()
    channel.subscribe("slotgen:halts")
    drill = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "drill", "--yes", "--json"],
        env=worker_environment(system.stack.redis_url, None),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    heard = (channel.get_message(timeout=20) for _ in range(10))
    assert any(each and each["type"] == "message" for each in heard)
    channel.close()
    return drill


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
        begun = system.fake_openai.journal.counts().begun

        marks = self.marks(slotgen("preflight", "--json"))

        assert marks["kill-switch dominates on the real route"] == "to confirm"
        assert marks["telemetry is validated on the real route"] == "pass"
        assert system.fake_openai.journal.counts().begun == begun

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
