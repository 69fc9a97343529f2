from dataclasses import FrozenInstanceError

import pytest

from gates import Gate, Reason
from gates.decision import admit, deny


def test_a_yes_has_no_reason():
    decision = admit(Gate.KILL, "the brake is off")

    assert (decision.allowed, decision.gate, decision.reason) == (True, Gate.KILL, None)
    assert decision.detail == "the brake is off"


def test_a_no_names_its_reason():
    decision = deny(Gate.ROLLOUT, Reason.ROLLOUT_EXCLUDED, "bucket 7 is outside 0 %")

    assert (decision.allowed, decision.gate) == (False, Gate.ROLLOUT)
    assert decision.reason is Reason.ROLLOUT_EXCLUDED
    assert decision.detail == "bucket 7 is outside 0 %"


def test_a_decision_cannot_be_changed():
    decision = deny(Gate.KILL, Reason.KILL_SWITCH, "the brake is on")

    with pytest.raises(FrozenInstanceError):
        decision.allowed = True


# Dashboards, alerts and consumers of the telemetry know these words.
def test_the_words_of_the_reasons_are_pinned():
    assert {reason.name: reason.value for reason in Reason} == {
        word: word
        for word in (
            "KILL_SWITCH",
            "KILL_UNVERIFIED",
            "FEATURE_DISABLED",
            "NOT_OPTED_IN",
            "NOT_ALLOWLISTED",
            "ROLLOUT_EXCLUDED",
        )
    }


def test_the_words_of_the_gates_are_pinned():
    assert [gate.value for gate in Gate] == ["kill", "feature", "opt_in", "allowlist", "rollout"]
