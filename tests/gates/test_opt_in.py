import pytest

from gates.opt_in import GATE, OptInReason
from tests.gates.given import a_subject, dials


def check(subject, controls):
    return GATE.check(subject, controls.of(GATE))


def test_lets_a_job_through_that_has_opted_in():
    decision = check(a_subject(opted_in=True), dials())

    assert (decision.allowed, decision.gate, decision.detail) == (True, "opt_in", "the job has opted in")


# 1 and "true" cannot come here past the schema; if they did, they would be no consent.
@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_stops_a_job_that_has_not(value):
    decision = check(a_subject(opted_in=value), dials())

    assert (decision.allowed, decision.gate, decision.reason) == (False, "opt_in", OptInReason.NOT_OPTED_IN)
    assert decision.detail == "metadata.allowAI is not true"
