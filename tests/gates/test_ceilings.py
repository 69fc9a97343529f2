import pytest

from gates import Ceilings

UNSET = {"kill": None, "feature": None, "rollout_percent": None}


def test_unset_variables_restrict_nothing():
    assert Ceilings.parse(**UNSET) == Ceilings() == Ceilings(False, False, 100_000)


@pytest.mark.parametrize("value", ["true", "1", "TRUE", " true\n", "\tTrue"])
def test_a_kill_variable_holds_the_brake_on(value):
    assert Ceilings.parse(**UNSET | {"kill": value}) == Ceilings(kill=True)


@pytest.mark.parametrize("value", ["false", "FALSE", " false "])
def test_a_kill_variable_of_false_leaves_the_brake_to_the_dial(value):
    assert Ceilings.parse(**UNSET | {"kill": value}) == Ceilings()


def test_a_feature_variable_of_false_holds_the_feature_off():
    assert Ceilings.parse(**UNSET | {"feature": "false"}) == Ceilings(feature_off=True)
    assert Ceilings.parse(**UNSET | {"feature": "true"}) == Ceilings()


@pytest.mark.parametrize(
    ("value", "thousandths"), [("0", 0), ("0.001", 1), ("12.5", 12_500), ("100.000", 100_000)]
)
def test_a_percentage_is_the_highest_that_the_dial_can_reach(value, thousandths):
    assert Ceilings.parse(**UNSET | {"rollout_percent": value}) == Ceilings(rollout_thousandths=thousandths)


@pytest.mark.parametrize(
    ("variable", "values", "remedy"),
    [
        (
            "kill",
            ["", "0", "off", "yes", "\u00a0true", "\u0442rue", "\udcff"],
            "set true, 1 or false, or unset",
        ),
        ("feature", ["", "TRUE", "1", " true", "on", "\udcff"], "set one of them, or unset"),
        (
            "rollout_percent",
            ["", "ten", " 5", "5\n", "101", "+5", "1e1", "5%", "\u0665", "\udcff"],
            "set a number from 0 to 100 with at most three decimals, or unset",
        ),
    ],
)
def test_refuses_a_value_that_needs_guessing_and_says_what_to_set(variable, values, remedy):
    for value in values:
        with pytest.raises(ValueError, match=remedy) as refusal:
            Ceilings.parse(**UNSET | {variable: value})

        # The name of the variable is its reader's to add.
        assert str(refusal.value).startswith(repr(value))
