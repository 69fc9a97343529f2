import hashlib
from itertools import combinations

import pytest

from gates import GATES, BrakeState, Ceilings, Controls, Reading, Trouble
from gates.allowlist import MAX_POLICY_BYTES
from tests.gates.given import OPEN, a_policy, a_rule, dials, restricted

# The four that the contract fixes.
DIALS = ("kill", "feature", "rollout_percent", "allowlist")
MALFORMED = {"kill": b"maybe", "feature": b"maybe", "rollout_percent": b"maybe", "allowlist": b"maybe"}


def with_trouble(controls, trouble):
    return {gate.dial.name for gate in GATES if gate.dial and controls.of(gate).trouble is trouble}


def test_open_dials_are_open():
    controls = dials()

    assert controls.brake is BrakeState.RELEASED
    assert controls.feature_enabled
    assert controls.rollout_thousandths == 100_000
    assert controls.allowlist is not None
    assert with_trouble(controls, Trouble.NONE) == set(OPEN)
    assert {controls.note, *(controls.of(gate).note for gate in GATES)} == {""}


def test_without_ceilings_nothing_is_restricted():
    assert Controls.parse(OPEN) == dials()


def test_a_gate_without_a_dial_reads_nothing():
    assert {dials().of(gate) for gate in GATES if gate.dial is None} == {Reading(None)}


def test_no_keys_at_all_is_everything_shut():
    controls = Controls.parse({}, Ceilings())

    assert controls.brake is BrakeState.UNVERIFIED
    assert not controls.feature_enabled
    assert (controls.rollout_thousandths, controls.allowlist, controls.policy_hash) == (0, None, None)
    assert with_trouble(controls, Trouble.ABSENT) == set(OPEN)


@pytest.mark.parametrize("names", [each for size in range(5) for each in combinations(MALFORMED, size)])
def test_names_exactly_the_dials_that_are_malformed(names):
    controls = dials(**{name: MALFORMED[name] for name in names})

    assert with_trouble(controls, Trouble.MALFORMED) == set(names)
    assert with_trouble(controls, Trouble.NONE) == set(OPEN) - set(names)


@pytest.mark.parametrize("name", DIALS)
def test_an_absent_dial_is_absent_and_not_malformed(name):
    controls = dials(**{name: None})

    assert with_trouble(controls, Trouble.ABSENT) == {name}
    assert with_trouble(controls, Trouble.MALFORMED) == set()


def test_names_the_dials_that_the_environment_overrules():
    ceilings = restricted(kill="true", feature="false", rollout_percent="99.999")

    controls = dials(ceilings=ceilings)

    assert with_trouble(controls, Trouble.OVERRULED) == {"kill", "feature", "rollout_percent"}
    assert controls.brake is BrakeState.ENGAGED
    assert not controls.feature_enabled
    assert controls.rollout_thousandths == 99_999


def test_does_not_blame_an_environment_that_is_as_strict_as_the_dials():
    ceilings = restricted(kill="true", feature="false", rollout_percent="10")

    controls = dials(kill=b"true", feature=b"false", rollout_percent=b"10", ceilings=ceilings)

    assert with_trouble(controls, Trouble.OVERRULED) == set()
    assert controls.rollout_thousandths == 10_000


def test_the_environments_kill_wins_where_the_key_is_absent_or_malformed():
    for raw in (None, b"maybe"):
        assert dials(kill=raw, ceilings=restricted(kill="true")).brake is BrakeState.ENGAGED


def test_an_unreadable_store_is_everything_shut_with_the_reason():
    controls = Controls.unreadable("Redis did not answer")

    assert controls.brake is BrakeState.UNVERIFIED
    assert not controls.feature_enabled
    assert (controls.rollout_thousandths, controls.allowlist, controls.policy_hash) == (0, None, None)
    assert controls.note == "Redis did not answer"
    assert with_trouble(controls, Trouble.UNREADABLE) == set(OPEN)


def test_an_unreadable_store_is_known_as_such_even_without_a_reason():
    assert Controls.unreadable("").note == "the dials could not be read"


@pytest.mark.parametrize("raw", [a_policy(a_rule()), b"not a policy", b""])
def test_names_a_policy_by_the_hash_of_its_bytes_valid_or_not(raw):
    assert dials(allowlist=raw).policy_hash == hashlib.sha256(raw).hexdigest()[:12]


def test_reads_the_policy_afresh_when_its_bytes_change_and_back():
    first, second = a_policy(a_rule("first")), a_policy(a_rule("second"))

    seen = [dials(allowlist=raw).allowlist.rules[0].id for raw in (first, second, first, second)]

    assert seen == ["first", "second", "first", "second"]


def test_a_policy_is_not_parsed_again_when_another_dial_changes():
    policies = [
        dials(kill=kill, rollout_percent=raw).allowlist for kill in (b"true", None) for raw in (b"1", b"2")
    ]

    assert policies[0] is not None
    assert {id(policy) for policy in policies} == {id(policies[0])}


def a_policy_with_run_limit(text: bytes) -> bytes:
    return a_policy(a_rule()).replace(b'"maxJobsPerRun": 10', b'"maxJobsPerRun": ' + text)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" * 100_000, id="deep and open"),
        pytest.param(b"[" * 33 + b"]" * 33, id="33 levels"),
        pytest.param(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, id="5,000 objects deep"),
        pytest.param(a_policy_with_run_limit(b"1" * 5_000), id="a number of 5,000 digits"),
        pytest.param(a_policy_with_run_limit(b"1" * 400), id="a number of 400 digits"),
        pytest.param(a_policy_with_run_limit(b"1e400"), id="a number beyond a double"),
        pytest.param(a_policy_with_run_limit(b"NaN"), id="NaN"),
        pytest.param(a_policy_with_run_limit(b"-Infinity"), id="Infinity"),
        pytest.param(a_policy_with_run_limit(b'10, "maxJobsPerRun": 10'), id="a property twice"),
        pytest.param(a_policy(a_rule("\ud800")), id="half a surrogate pair"),
        pytest.param(a_policy(a_rule("x" * 129)), id="a rule id of 129 characters"),
        pytest.param(a_policy(*[a_rule(str(each)) for each in range(10_001)]), id="10,001 rules"),
        pytest.param(a_policy(a_rule()) + b"{}", id="two documents"),
        pytest.param(a_policy(a_rule()) + b"\x00", id="a NUL behind it"),
        pytest.param(a_policy(a_rule()).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" + b" " * MAX_POLICY_BYTES + b"]", id="too large"),
    ],
)
def test_a_policy_that_is_bad_in_an_uncommon_way_is_malformed_and_raises_nothing(raw):
    controls = dials(allowlist=raw)

    assert controls.allowlist is None
    assert with_trouble(controls, Trouble.MALFORMED) == {"allowlist"}


@pytest.mark.parametrize(("padding", "accepted"), [(0, True), (1, False)])
def test_a_policy_may_have_16_mebibytes_and_not_a_byte_more(padding, accepted):
    raw = a_policy(a_rule()).ljust(16 * 1024 * 1024 + padding)

    controls = dials(allowlist=raw)

    assert (controls.allowlist is not None) is accepted
    assert controls.policy_hash == hashlib.sha256(raw).hexdigest()[:12]


def test_a_percentage_that_is_not_there_is_not_overruled_by_the_environment():
    for percent in (None, b"ten"):
        controls = dials(rollout_percent=percent, ceilings=restricted(rollout_percent="0"))
        assert with_trouble(controls, Trouble.OVERRULED) == set()


def test_the_dials_of_an_unreadable_store_are_all_shut():
    controls = Controls.unreadable("Redis did not answer")

    assert controls.brake is BrakeState.UNVERIFIED
    assert controls.feature_enabled is False
    assert (controls.rollout_thousandths, controls.allowlist, controls.policy_hash) == (0, None, None)
    assert with_trouble(controls, Trouble.UNREADABLE) == set(OPEN)


def test_the_brake_is_off_for_the_word_alone_whatever_else_stands_beside_it():
    blanks = b" \t\n\r\v\f"
    for each in (bytes([number]) for number in range(256)):
        expected = BrakeState.RELEASED if each in blanks else BrakeState.ENGAGED
        assert {dials(kill=raw).brake for raw in (each + b"false", b"false" + each)} == {expected}


def test_the_words_for_the_brake():
    assert [*BrakeState] == ["released", "engaged", "unverified"]


def test_a_policy_with_two_rules_of_one_name_is_malformed():
    twice = a_policy(a_rule("pilot"), a_rule("pilot", kinds=["revision"]))

    assert with_trouble(dials(allowlist=twice), Trouble.MALFORMED) == {"allowlist"}
