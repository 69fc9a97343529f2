import pytest

from gates import Controls
from gates.feature_flag import GATE, FeatureReason
from tests.gates.given import a_subject, dials, restricted


def check(subject, controls):
    return GATE.check(subject, controls.of(GATE))


def test_lets_a_job_through_when_the_feature_is_on():
    decision = check(a_subject(), dials())

    assert (decision.allowed, decision.gate, decision.detail) == (True, "feature", "the feature is on")


@pytest.mark.parametrize(
    ("raw", "state"), [(b"false", "is false"), (b"TRUE", "is malformed"), (None, "is absent")]
)
def test_stops_a_job_when_the_feature_is_not_on_and_says_why(raw, state):
    decision = check(a_subject(), dials(feature=raw))

    assert (decision.allowed, decision.gate, decision.reason) == (
        False,
        "feature",
        FeatureReason.FEATURE_DISABLED,
    )
    assert decision.detail == f"the feature dial {state}"


@pytest.mark.parametrize(
    ("raw", "state"), [(b"true", "is overruled by the environment"), (b"false", "is false")]
)
def test_blames_the_environment_only_where_it_decides(raw, state):
    decision = check(a_subject(), dials(feature=raw, ceilings=restricted(feature="false")))

    assert decision.reason is FeatureReason.FEATURE_DISABLED
    assert decision.detail == f"the feature dial {state}"


def test_does_not_say_false_of_a_dial_that_nobody_read():
    decision = check(a_subject(), Controls.unreadable("Redis did not answer"))

    assert (decision.reason, decision.detail) == (
        FeatureReason.FEATURE_DISABLED,
        "the feature dial could not be read",
    )
