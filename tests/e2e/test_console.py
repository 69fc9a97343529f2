"""The operator's commands against a running worker: halt with confirmation, and the safe enable sequence."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.builders import a_job, a_rule, a_spec, an_allowlist, new_job
from tests.e2e.conftest import WAIT_SECONDS
from tests.fakes.openai.server import Behaviour


def test_kill_hears_from_every_worker_that_its_calls_are_closed(system, slotgen):
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    in_flight_before = system.fake_openai.journal.counts().cancelled
    pending = [system.send(a_spec(new_job())) for _ in range(20)]
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 20, WAIT_SECONDS)

    done = slotgen("kill", "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["workers"], told["confirmed"], told["cancelledCalls"]) == (1, 1, 20)
    assert system.fake_openai.journal.counts().cancelled - in_flight_before == 20
    assert {each.get(timeout=WAIT_SECONDS)[0]["status"] for each in pending} == {"STUB"}


def test_enable_opens_in_the_runbooks_order_and_can_be_run_again(system, slotgen, tmp_path):
    policy = tmp_path / "allowlist.json"
    policy.write_text(an_allowlist(a_rule(kinds=["explanatory"]), enabled=False))
    words = ["enable", "--allowlist", str(policy), "--percent", "100"]
    system.set_dials(kill=None, feature=None, rollout_percent=None, allowlist=None)
    for key in system.stack.client.keys("slotgen:audit*"):
        system.stack.client.delete(key)

    looked = slotgen(*words, "--dry-run")
    assert looked.returncode == 0
    assert looked.stdout.endswith("nothing was changed\n")
    assert system.stack.client.mget("slotgen:kill", "slotgen:feature") == [None, None]
    assert slotgen(*words).returncode == 1

    done = slotgen(*words, "--reason", "first day", "--json")

    told = json.loads(done.stdout)["steps"]
    assert [each["dial"] for each in told] == ["kill", "feature", "allowlist", "rollout_percent", "kill"]
    # Until the last step the brake denies the sample job, whatever the other gates say.
    assert [each["sampleJob"]["kill"] for each in told] == ["KILL_SWITCH"] * 4 + ["yes"]
    assert set(told[-1]["sampleJob"].values()) == {"yes"}
    assert system.answer(a_spec(new_job()))[0]["status"] == "COMPLETED"
    again = slotgen(*words, "--reason", "again")
    assert (again.returncode, again.stdout.count("already so")) == (0, 3)


def test_enable_that_would_widen_two_dimensions_changes_nothing(system, slotgen, tmp_path):
    system.set_dials(rollout_percent="1", allowlist=an_allowlist(a_rule(kinds=["revision"])))
    # What other tests have opened is forgotten; this is what is live.
    assert slotgen("status").returncode == 0
    system.stack.client.delete("slotgen:audit", "slotgen:audit:noticed")
    policy = tmp_path / "allowlist.json"
    policy.write_text(an_allowlist())

    done = slotgen("enable", "--allowlist", str(policy), "--percent", "5", "--reason", "more")

    assert done.returncode == 1
    assert "this widens allowlist and rollout at once" in done.stderr
    assert system.stack.client.get("slotgen:kill") == b"false"


def test_enable_refuses_what_would_admit_nobody(system, slotgen, tmp_path):
    policy = tmp_path / "allowlist.json"
    policy.write_text(an_allowlist(a_rule(enabled=False)))

    done = slotgen("enable", "--allowlist", str(policy), "--percent", "5", "--reason", "x")

    assert (done.returncode, done.stderr) == (
        1,
        "these would admit no job: no enabled rule can match, or the percentage is 0\n",
    )


@pytest.mark.parametrize(
    "dials",
    [
        {},
        {"kill": "true"},
        {"kill": None},
        {"rollout_percent": "50"},
        {"allowlist": an_allowlist(a_rule(kinds=["revision"], maxJobsPerRun=1))},
    ],
)
def test_explain_says_what_the_worker_does(system, slotgen, tmp_path, dials):
    system.set_dials(**dials)
    name = uuid.uuid4().hex
    jobs = [
        a_job(f"{name}-{number}", kind=kind, mode=mode, output={"field": "x", "type": output})
        for number, (kind, mode, output) in enumerate(
            [
                ("explanatory", "generate", "text"),
                ("revision", "generate", "text"),
                ("revision", "generate", "flashcards"),
                ("explanatory", "verbatim", "text"),
                ("explanatory", "generate", "poem"),
            ]
        )
    ]
    spec = a_spec(*jobs)
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))

    told = json.loads(slotgen("explain", str(path), "--json").stdout)
    system.answer(spec)

    seen = [system.event_of(job["jobId"])["telemetry"]["errorCode"] for job in jobs]
    assert [each["errorCode"] for each in told] == seen
