from dataclasses import FrozenInstanceError

import pytest

from gates import GATES, REASONS
from gates.decision import admit, deny
from gates.kill_switch import KillReason
from gates.rollout import RolloutReason


def test_a_yes_has_no_reason():
    decision = admit("kill", "the kill switch is off")

    assert (decision.allowed, decision.gate, decision.reason) == (True, "kill", None)
    assert decision.detail == "the kill switch is off"


def test_a_no_names_its_reason():
    decision = deny("rollout", RolloutReason.ROLLOUT_EXCLUDED, "bucket 7 is outside 0 %")

    assert (decision.allowed, decision.gate) == (False, "rollout")
    assert decision.reason is RolloutReason.ROLLOUT_EXCLUDED
    assert decision.detail == "bucket 7 is outside 0 %"


def test_a_decision_cannot_be_changed():
    decision = deny("kill", KillReason.KILL_SWITCH, "the kill switch is on")

    with pytest.raises(FrozenInstanceError):
        decision.allowed = True


# Dashboards, alerts and consumers of the telemetry know these words.
def test_the_words_of_the_reasons_are_pinned():
    pinned = [
        "KILL_SWITCH",
        "KILL_UNVERIFIED",
        "FEATURE_DISABLED",
        "NOT_OPTED_IN",
        "NOT_ALLOWLISTED",
        "ROLLOUT_EXCLUDED",
    ]

    assert [reason.value for reason in REASONS if reason in pinned] == pinned
    assert [reason.name for reason in REASONS] == [reason.value for reason in REASONS]


def test_the_words_of_the_gates_are_pinned():
    pinned = ["kill", "feature", "opt_in", "allowlist", "rollout"]

    assert [gate.name for gate in GATES if gate.name in pinned] == pinned
