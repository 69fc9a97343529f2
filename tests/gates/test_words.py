"""What each dial says of itself: on the status page, in a metric, in a refusal, and in the docs."""

import pytest

from gates import DIALS, REASONS, BrakeState, allowlist, feature_flag, kill_switch, rollout
from tests.gates.given import OPEN, a_policy, a_rule

RELEASED, ENGAGED, UNVERIFIED = BrakeState
POLICY, OFF = (
    allowlist.parse(a_policy(a_rule(), a_rule("b", enabled=False), enabled=on)) for on in (True, False)
)


@pytest.mark.parametrize(
    ("dial", "value", "shown", "openness"),
    [
        (kill_switch.DIAL, RELEASED, "released", 1),
        (kill_switch.DIAL, ENGAGED, "halted", 0),
        (kill_switch.DIAL, UNVERIFIED, "halted", 0),
        (feature_flag.DIAL, True, "on", 1),
        (feature_flag.DIAL, False, "off", 0),
        (allowlist.DIAL, POLICY, "1 of 2 rules", 1),
        (allowlist.DIAL, allowlist.parse(a_policy(a_rule())), "1 of 1 rule", 1),
        (allowlist.DIAL, OFF, "denies all", 0),
        (allowlist.DIAL, None, "denies all", 0),
        (rollout.DIAL, 12_500, "12.5 %", 12.5),
        (rollout.DIAL, 0, "0 %", 0),
    ],
)
def test_a_value_has_words_and_is_more_or_less_open(dial, value, shown, openness):
    assert (dial.shown(value), dial.openness(value)) == (shown, openness)


@pytest.mark.parametrize(
    ("dial", "name", "remedy", "command"),
    [
        (kill_switch.DIAL, "kill", "set true, 1 or false", 'slotgen resume --reason "…"'),
        (feature_flag.DIAL, "feature", "set true or false", "slotgen feature on"),
        (allowlist.DIAL, "allowlist", "set a valid allowlist v1", "slotgen allowlist push FILE"),
        (
            rollout.DIAL,
            "rollout_percent",
            "set a number from 0 to 100 with at most three decimals",
            "slotgen rollout 1",
        ),
    ],
)
def test_a_dial_says_what_to_do(dial, name, remedy, command):
    assert (str(dial), dial.name, dial.remedy, dial.command) == (name, name, remedy, command)


@pytest.mark.parametrize(
    ("dial", "words"),
    [
        (
            kill_switch.DIAL,
            ("exactly `false` (case and blanks ignored)", "halted", "SLOTGEN_AI_KILL", "one word", b"false"),
        ),
        (feature_flag.DIAL, ("exactly `true`", "off", "FEATURE_SLOTGEN_AI", "one word", b"true")),
        (
            allowlist.DIAL,
            ("valid allowlist v1 JSON with `enabled: true`", "denies", None, "16 MiB are read", None),
        ),
        (
            rollout.DIAL,
            (
                "a decimal from 0 to 100, at most three decimals",
                "0",
                "SLOTGEN_AI_ROLLOUT_PERCENT",
                "one number",
                b"100",
            ),
        ),
    ],
)
def test_the_words_of_a_dial_in_the_docs(dial, words):
    assert (dial.opens_when, dial.otherwise, dial.variable, dial.bound, dial.open_value) == words


def test_the_remedies_in_the_docs():
    remedies = {reason.value: reason.remedy for reason in REASONS}

    assert (
        remedies.items()
        >= {
            "KILL_SWITCH": "release it when it is safe",
            "KILL_UNVERIFIED": "set the key; look at Redis",
            "FEATURE_DISABLED": "`SET slotgen:feature true`",
            "NOT_OPTED_IN": "the producer opts in, job by job",
            "NOT_ALLOWLISTED": "add a rule",
            "ROLLOUT_EXCLUDED": "raise the percentage",
        }.items()
    )


@pytest.mark.parametrize("dial", DIALS, ids=str)
def test_an_open_dial_is_as_open_as_it_says_and_an_absent_or_malformed_one_is_shut(dial):
    assert dial.openness(dial.read(OPEN[dial.name]).value) > 0
    for shut in (dial.read(None), dial.read(b"neither fish nor fowl")):
        assert not dial.openness(shut.value)
        assert shut.trouble
