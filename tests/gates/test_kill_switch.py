import pytest

from gates import BrakeState, Controls, evaluate
from gates.kill_switch import GATE, KillReason
from tests.gates.given import a_subject, dials, restricted


def check(subject, controls):
    return GATE.check(subject, controls.of(GATE))


def test_lets_a_job_through_when_the_brake_is_off():
    decision = check(a_subject(), dials())

    assert (decision.allowed, decision.gate, decision.detail) == (True, "kill", "the kill switch is off")


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"true", "the kill switch is on"),
        (b"1", "the kill switch is on"),
        (b"off", "the kill switch is on: the kill dial is malformed"),
    ],
)
def test_stops_a_job_when_the_brake_is_on(raw, detail):
    decision = check(a_subject(), dials(kill=raw))

    assert (decision.allowed, decision.gate, decision.reason) == (False, "kill", KillReason.KILL_SWITCH)
    assert decision.detail == detail


@pytest.mark.parametrize("raw", [b"false", None])
def test_says_when_the_environment_holds_the_brake_on(raw):
    decision = check(a_subject(), dials(kill=raw, ceilings=restricted(kill="true")))

    assert decision.reason is KillReason.KILL_SWITCH
    assert decision.detail == "the kill switch is on: the kill dial is overruled by the environment"


def test_does_not_blame_the_environment_for_a_brake_that_the_dial_engages():
    decision = check(a_subject(), dials(kill=b"true", ceilings=restricted(kill="true")))

    assert decision.detail == "the kill switch is on"


def test_stops_a_job_when_the_kill_key_is_absent():
    decision = check(a_subject(), dials(kill=None))

    assert (decision.allowed, decision.reason) == (False, KillReason.KILL_UNVERIFIED)
    assert decision.detail == "the kill dial is absent"


def test_stops_a_job_when_the_kill_key_cannot_be_read_and_says_why():
    decision = check(a_subject(), Controls.unreadable("Redis took 251 ms to answer"))

    assert (decision.allowed, decision.reason) == (False, KillReason.KILL_UNVERIFIED)
    assert decision.detail == "Redis took 251 ms to answer"


@pytest.mark.parametrize("brake", [BrakeState.ENGAGED, BrakeState.UNVERIFIED])
def test_kill_dominates_dials_that_are_wide_open(brake):
    raw = b"true" if brake is BrakeState.ENGAGED else None

    decision = evaluate(a_subject(), dials(kill=raw))

    assert (decision.allowed, decision.gate) == (False, "kill")
