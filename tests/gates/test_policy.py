import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import Allowlist, AllowRule
from tests.gates.given import a_policy, a_rule, a_subject, dials

# Few words, so that rules and jobs often meet.
WORDS = ["a", "b", "c"]
KINDS = ["statutory", "assessment", "explanatory", "revision"]
some_words = st.lists(st.sampled_from(WORDS), max_size=3)


@st.composite
def rules(draw, rule_id):
    return {
        "id": rule_id,
        "enabled": draw(st.booleans()),
        "appliesTo": {name: draw(some_words) for name in ("subject", "level", "board", "specVersion")},
        "kinds": draw(st.lists(st.sampled_from(KINDS), max_size=4)),
        "slotIds": draw(some_words),
        "maxJobsPerRun": draw(st.integers(1, 100)),
    }


@st.composite
def policies(draw):
    return [draw(rules(f"rule-{number}")) for number in range(draw(st.integers(0, 12)))]


@st.composite
def subjects(draw):
    names = ("subject", "level", "board", "spec_version", "slot_id")
    return a_subject(
        kind=draw(st.sampled_from(KINDS)), **{name: draw(st.sampled_from(WORDS)) for name in names}
    )


def failing(rule, subject):
    """Return what the contract's sentence says, list by list and without an index."""
    applies_to = rule["appliesTo"]
    return [
        name
        for name, matches in (
            ("appliesTo.subject", subject.subject in applies_to["subject"]),
            ("appliesTo.level", subject.level in applies_to["level"]),
            ("appliesTo.board", subject.board in applies_to["board"]),
            ("appliesTo.specVersion", subject.spec_version in applies_to["specVersion"]),
            ("kinds", subject.kind in rule["kinds"]),
            ("slotIds", not rule["slotIds"] or subject.slot_id in rule["slotIds"]),
        )
        if not matches
    ]


def of(document_rules):
    policy = dials(allowlist=a_policy(*document_rules)).allowlist
    assert policy is not None
    return policy


@given(policies(), subjects())
def test_the_indexed_match_is_the_first_match(document_rules, subject):
    matches = [each["id"] for each in document_rules if each["enabled"] and not failing(each, subject)]

    found = of(document_rules).first_match(subject)

    assert (found.id if found else None) == next(iter(matches), None)


@given(policies(), subjects())
def test_the_nearest_rule_is_the_enabled_one_with_the_fewest_failing_lists(document_rules, subject):
    failings = {each["id"]: failing(each, subject) for each in document_rules if each["enabled"]}

    found = of(document_rules).nearest(subject)

    if found is None:
        assert not failings
    else:
        rule, names = found
        fewest = min(map(len, failings.values()))
        assert list(names) == failings[rule.id]
        assert rule.id == next(each for each, lists in failings.items() if len(lists) == fewest)


def test_the_nearest_rule_names_the_lists_as_the_policy_does():
    policy = of(
        [
            a_rule(
                "far",
                appliesTo={"subject": [], "level": [], "board": [], "specVersion": []},
                kinds=[],
                slotIds=["x"],
            )
        ]
    )

    rule, names = policy.nearest(a_subject())

    assert rule.id == "far"
    assert names == (
        "appliesTo.subject",
        "appliesTo.level",
        "appliesTo.board",
        "appliesTo.specVersion",
        "kinds",
        "slotIds",
    )


def test_the_last_of_a_thousand_rules_still_matches():
    policy = of([a_rule(f"rule-{each}", kinds=["revision"]) for each in range(999)] + [a_rule("last")])

    assert policy.first_match(a_subject()).id == "last"
    assert policy.first_match(a_subject(kind="revision")).id == "rule-0"


def test_many_slots_of_one_rule_share_one_set():
    # A set for each slot would take 1 KiB each in a policy of 10,000 rules.
    padding = [a_rule(f"rule-{each}", kinds=[]) for each in range(300)]
    slots = [f"slot-{each}" for each in range(1_000)]

    policy = of([*padding, a_rule("wide", slotIds=slots)])

    assert len({id(bits) for bits in policy._indexes[5].values()}) == 1
    assert policy.first_match(a_subject(slot_id="slot-999")).id == "wide"


def test_keeps_the_rules_as_typed_values_in_their_order():
    policy = of([a_rule("one", slotIds=["lesson.intro"]), a_rule("two", enabled=False)])

    assert [rule.id for rule in policy.rules] == ["one", "two"]
    assert policy.rules[0] == AllowRule(
        id="one",
        enabled=True,
        lists=tuple(
            frozenset({value}) for value in ("Biology", "GCSE", "AQA", "8461", "explanatory", "lesson.intro")
        ),
        max_jobs_per_run=10,
    )
    assert policy.rules[0].slot_ids == {"lesson.intro"}
    assert not policy.rules[1].enabled


@pytest.mark.parametrize("enabled", [True, False])
def test_the_policies_own_switch_is_kept(enabled):
    policy = dials(allowlist=a_policy(a_rule(), enabled=enabled)).allowlist

    assert isinstance(policy, Allowlist)
    assert policy.enabled is enabled


@pytest.mark.parametrize("field", ["subject", "level", "board", "spec_version", "kind", "slot_id"])
def test_a_value_that_is_in_no_rule_matches_none_whatever_the_others_are(field):
    policy = of([a_rule(slotIds=["lesson.intro"])])

    assert policy.first_match(a_subject()) is policy.rules[0]
    assert policy.first_match(a_subject(**{field: "unheard of"})) is None


def test_the_nearest_rule_is_the_first_of_those_with_the_fewest_failing_lists():
    far = a_rule("far", kinds=[], slotIds=["another"])
    near, as_near = a_rule("near", kinds=[]), a_rule("as near", slotIds=["another"])

    rule, names = of([far, a_rule("off", enabled=False), near, as_near]).nearest(a_subject())

    assert (rule.id, names) == ("near", ("kinds",))


def test_no_rule_is_nearest_where_none_is_enabled():
    assert of([a_rule(enabled=False)]).nearest(a_subject()) is None


def test_a_policy_is_shown_by_its_rules_and_not_by_what_is_made_of_them():
    shown = repr(of([a_rule("pilot")]))

    assert "pilot" in shown
    assert "_indexes" not in shown
    assert "_every_slot" not in shown
