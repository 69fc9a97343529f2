from itertools import product

import pytest

from gates import GATES, Controls, Decision, evaluate, explain
from gates.allowlist import AllowlistReason
from gates.feature_flag import FeatureReason
from gates.kill_switch import KillReason
from gates.opt_in import OptInReason
from gates.rollout import RolloutReason
from tests.gates.given import LAST_BUCKET, a_subject, dials

ALL_32 = list(product([True, False], repeat=5))
ORDER = ["kill", "feature", "opt_in", "allowlist", "rollout"]
REASONS = [
    KillReason.KILL_SWITCH,
    FeatureReason.FEATURE_DISABLED,
    OptInReason.NOT_OPTED_IN,
    AllowlistReason.NOT_ALLOWLISTED,
    RolloutReason.ROLLOUT_EXCLUDED,
]


def combination(answers):
    """Return a job and dials to which the five gates give `answers`."""
    kill, feature, opt_in, allowlist, rollout = answers
    changes = {
        "kill": b"false" if kill else b"true",
        "feature": b"true" if feature else b"false",
        "rollout_percent": b"100" if rollout else b"50",
    }
    if not allowlist:
        changes["allowlist"] = None
    return a_subject(job_id=LAST_BUCKET, opted_in=opt_in), dials(**changes)


@pytest.mark.parametrize("answers", ALL_32)
def test_the_first_no_of_all_combinations_decides(answers):
    subject, controls = combination(answers)

    decision = evaluate(subject, controls)

    if all(answers):
        assert (decision.allowed, decision.gate, decision.reason) == (True, GATES[-1].name, None)
    else:
        first = answers.index(False)
        assert (decision.allowed, decision.gate, decision.reason) == (False, ORDER[first], REASONS[first])


@pytest.mark.parametrize("answers", ALL_32)
def test_explain_asks_every_gate_in_order(answers):
    everyone = explain(*combination(answers))

    assert [each.gate for each in everyone] == [gate.name for gate in GATES]
    decisions = [each for each in everyone if each.gate in ORDER]
    assert [each.gate for each in decisions] == ORDER
    assert tuple(each.allowed for each in decisions) == answers
    assert [each.reason for each in decisions] == [
        None if allowed else reason for allowed, reason in zip(answers, REASONS, strict=True)
    ]


@pytest.mark.parametrize("answers", ALL_32)
def test_evaluate_says_what_explain_says_first(answers):
    subject, controls = combination(answers)

    decisions = explain(subject, controls)

    assert evaluate(subject, controls) == next(
        (each for each in decisions if not each.allowed), decisions[-1]
    )


def test_evaluate_does_not_ask_the_gates_behind_the_first_no():
    asked = []
    subject, controls = combination((True, False, True, True, True))

    def noting(check):
        return lambda subject, reading: asked.append(check) or check(subject, reading)

    controls = Controls(tuple((noting(check), reading) for check, reading in controls.asked))
    evaluate(subject, controls)

    assert set(asked) == {gate.check for gate in GATES[:2]}


def test_the_gates_that_look_at_no_job_are_asked_once_for_all_jobs():
    asked = []
    subject, controls = combination((True, True, True, True, True))

    def noting(check):
        return lambda subject, reading: asked.append(check) or check(subject, reading)

    controls = Controls(tuple((noting(check), reading) for check, reading in controls.asked))
    for _ in range(3):
        assert evaluate(subject, controls).allowed

    times = {gate.name: asked.count(gate.check) for gate in GATES}
    assert times == {gate.name: 3 if gate.asks_job else 1 for gate in GATES}


def test_the_first_two_gates_look_at_no_job():
    assert [gate.name for gate in GATES if not gate.asks_job] == ["kill", "feature"]


@pytest.mark.parametrize("gate", [each for each in GATES if not each.asks_job], ids=lambda gate: gate.name)
@pytest.mark.parametrize("answers", ALL_32)
def test_a_gate_that_looks_at_no_job_says_the_same_of_every_one(gate, answers):
    subject, controls = combination(answers)

    assert gate.check(subject, controls.of(gate)) == gate.check(a_subject(job_id="other"), controls.of(gate))


def test_an_unreadable_store_shuts_every_gate_that_has_a_dial():
    decisions = explain(a_subject(), Controls.unreadable("Redis did not answer"))

    assert [each.gate for each in decisions if each.allowed] == [
        gate.name for gate in GATES if gate.dial is None
    ]
    assert decisions[0] == Decision(
        allowed=False, gate="kill", reason=KillReason.KILL_UNVERIFIED, detail="Redis did not answer"
    )
