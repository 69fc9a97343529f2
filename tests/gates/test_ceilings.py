import pytest

from gates import DIALS, Ceilings
from gates.feature_flag import GATE as FEATURE
from gates.kill_switch import GATE as KILL
from gates.kill_switch import BrakeState
from gates.rollout import GATE as ROLLOUT
from tests.gates.given import dials, restricted


def test_unset_variables_restrict_nothing():
    assert Ceilings.parse({"PATH": "/bin"}) == Ceilings()
    assert set(Ceilings().values) == {None}


def test_each_variable_restricts_one_dial():
    variables = [dial.variable for dial in DIALS if dial.variable]

    assert len(variables) == len(set(variables))
    assert {"SLOTGEN_AI_KILL", "FEATURE_SLOTGEN_AI", "SLOTGEN_AI_ROLLOUT_PERCENT"} <= set(variables)


@pytest.mark.parametrize("value", ["true", "1", "TRUE", " true\n", "\tTrue"])
def test_a_kill_variable_holds_the_brake_on(value):
    assert restricted(kill=value).of(KILL) is BrakeState.ENGAGED
    assert dials(ceilings=restricted(kill=value)).brake is BrakeState.ENGAGED


@pytest.mark.parametrize("value", ["false", "FALSE", " false "])
def test_a_kill_variable_of_false_leaves_the_brake_to_the_dial(value):
    for raw in (b"false", b"true", None):
        assert dials(kill=raw, ceilings=restricted(kill=value)) == dials(kill=raw)


def test_a_feature_variable_of_false_holds_the_feature_off():
    assert restricted(feature="false").of(FEATURE) is False
    for raw in (b"true", b"false", None):
        assert not dials(feature=raw, ceilings=restricted(feature="false")).feature_enabled
        assert dials(feature=raw, ceilings=restricted(feature="true")) == dials(feature=raw)


@pytest.mark.parametrize(
    ("value", "thousandths"), [("0", 0), ("0.001", 1), ("12.5", 12_500), ("100.000", 100_000)]
)
def test_a_percentage_is_the_highest_that_the_dial_can_reach(value, thousandths):
    assert restricted(rollout_percent=value).of(ROLLOUT) == thousandths
    assert dials(ceilings=restricted(rollout_percent=value)).rollout_thousandths == thousandths


@pytest.mark.parametrize(
    ("dial", "variable", "values", "remedy"),
    [
        (
            "kill",
            "SLOTGEN_AI_KILL",
            ["", "0", "off", "yes", "\u00a0true", "\u0442rue", "\udcff"],
            "set true, 1 or false, or unset it",
        ),
        (
            "feature",
            "FEATURE_SLOTGEN_AI",
            ["", "TRUE", "1", " true", "on", "\udcff"],
            "set true or false, or unset it",
        ),
        (
            "rollout_percent",
            "SLOTGEN_AI_ROLLOUT_PERCENT",
            ["", "ten", " 5", "5\n", "101", "+5", "1e1", "5%", "\u0665", "\udcff"],
            "set a number from 0 to 100 with at most three decimals, or unset it",
        ),
    ],
)
def test_refuses_a_value_that_needs_guessing_and_says_what_to_set(dial, variable, values, remedy):
    for value in values:
        with pytest.raises(ValueError, match=remedy) as refusal:
            restricted(**{dial: value})

        assert str(refusal.value) == f"{variable} is {value!r}; {remedy}"
