from itertools import product

import pytest

from gates import Controls, Decision, Gate, Reason, evaluate, explain
from gates.pipeline import GATES
from tests.gates.given import LAST_BUCKET, a_subject, dials

ALL_32 = list(product([True, False], repeat=5))
ORDER = [Gate.KILL, Gate.FEATURE, Gate.OPT_IN, Gate.ALLOWLIST, Gate.ROLLOUT]
REASONS = [
    Reason.KILL_SWITCH,
    Reason.FEATURE_DISABLED,
    Reason.NOT_OPTED_IN,
    Reason.NOT_ALLOWLISTED,
    Reason.ROLLOUT_EXCLUDED,
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
        assert (decision.allowed, decision.gate, decision.reason) == (True, Gate.ROLLOUT, None)
    else:
        first = answers.index(False)
        assert (decision.allowed, decision.gate, decision.reason) == (False, ORDER[first], REASONS[first])


@pytest.mark.parametrize("answers", ALL_32)
def test_explain_asks_every_gate_in_order(answers):
    decisions = explain(*combination(answers))

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


def test_evaluate_does_not_ask_the_gates_behind_the_first_no(monkeypatch):
    asked = []

    def noting(check):
        return lambda subject, controls: asked.append(check) or check(subject, controls)

    monkeypatch.setattr("gates.pipeline.GATES", tuple(noting(check) for check in GATES))

    evaluate(*combination((True, False, True, True, True)))

    assert asked == list(GATES[:2])


def test_an_unreadable_store_shuts_every_gate_that_has_a_dial():
    decisions = explain(a_subject(), Controls.unreadable("Redis did not answer"))

    assert [each.allowed for each in decisions] == [False, False, True, False, False]
    assert decisions[0] == Decision(
        allowed=False, gate=Gate.KILL, reason=Reason.KILL_UNVERIFIED, detail="Redis did not answer"
    )
