"""Whether a policy is broader than another: held against an enumeration of a whole small universe."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import Allowlist, Subject
from gates.breadth import Difference, broader_parts, is_broader, rule_differences
from tests.builders import a_rule, an_allowlist

KINDS = ["quiz", "text"]
VALUES = ["a", "b"]
SLOTS = ["s1", "s2", "elsewhere"]
UNIVERSE = [
    Subject("job", slot, kind, subject, "GCSE", board, "1", opted_in=True)
    for slot, kind, subject, board in itertools.product(SLOTS, KINDS, VALUES, VALUES)
]


def policy(*rules, **changes):
    return Allowlist.of(json.loads(an_allowlist(*rules, **changes)))


def some(values):
    return st.lists(st.sampled_from(values), max_size=len(values), unique=True)


@st.composite
def policies(draw):
    rules = [
        {
            "id": f"r{number}",
            "enabled": draw(st.sampled_from([True, True, True, False])),
            "appliesTo": {
                "subject": draw(some(VALUES)),
                "level": ["GCSE"],
                "board": draw(some(VALUES)),
                "specVersion": ["1"],
            },
            "kinds": draw(some(KINDS)),
            "slotIds": draw(some(SLOTS[:2])),
            "maxJobsPerRun": draw(st.integers(1, 3)),
        }
        for number in range(draw(st.integers(0, 4)))
    ]
    document = {"enabled": draw(st.sampled_from([True, True, True, False])), "rules": rules}
    return draw(st.sampled_from([Allowlist.of(document)] * 9 + [None]))


def limit(of, subject):
    rule = of.first_match(subject) if of is not None and of.enabled else None
    return 0 if rule is None else rule.max_jobs_per_run


@given(policies(), policies())
def test_it_is_broader_exactly_when_some_job_is_admitted_more_freely(before, after):
    freer = [subject for subject in UNIVERSE if limit(after, subject) > limit(before, subject)]

    assert is_broader(before, after) is bool(freer)


@given(policies(), policies())
def test_every_part_names_only_jobs_that_are_admitted_more_freely(before, after):
    for part in broader_parts(before, after):
        subjects, _, boards, _, kinds, slots = part.region
        inside = [
            each
            for each in UNIVERSE
            if each.subject in subjects
            and each.board in boards
            and each.kind in kinds
            and (each.slot_id in slots or (each.slot_id == "elsewhere" and "(any other slot)" in slots))
        ]
        assert inside
        for subject in inside:
            assert limit(before, subject) == (part.limit_before or 0)
            assert limit(after, subject) == part.limit_after
            assert after.first_match(subject).id == part.rule_id


@given(policies())
def test_nothing_is_broader_than_itself(one):
    assert not is_broader(one, one)


def test_a_disabled_or_absent_policy_admits_nothing():
    for nothing in (None, policy(enabled=False), policy(a_rule(enabled=False)), policy(a_rule(kinds=[]))):
        assert is_broader(nothing, policy())
        assert not is_broader(policy(), nothing)


def test_a_part_says_what_is_new():
    (part,) = broader_parts(policy(a_rule(kinds=["revision"])), policy(a_rule(kinds=["revision", "quiz"])))

    assert (
        part.sentence
        == "rule biology newly admits, for one, Biology, GCSE, AQA, 8461, quiz, (any other slot)"
    )


def test_a_higher_limit_is_broader_and_a_lower_one_is_not():
    few, many = policy(a_rule(maxJobsPerRun=5)), policy(a_rule(maxJobsPerRun=10))

    assert [part.sentence.split(",")[0] for part in broader_parts(few, many)] == [
        "rule biology raises the jobs of a spec from 5 to 10"
    ]
    assert not is_broader(many, few)


def test_the_same_rules_in_another_order_are_broader_only_where_the_limit_rises():
    strict, free = a_rule("strict", maxJobsPerRun=1), a_rule("free", maxJobsPerRun=9)

    assert is_broader(policy(strict, free), policy(free, strict))
    assert not is_broader(policy(free, strict), policy(strict, free))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([a_rule()], [a_rule(), a_rule("new")], [("new", Difference.ADDED, ())]),
        ([a_rule(), a_rule("old")], [a_rule()], [("old", Difference.REMOVED, ())]),
        (
            [a_rule()],
            [a_rule(slotIds=["x"])],
            [("biology", Difference.NARROWER, ("slotIds +x -(every slot)",))],
        ),
        (
            [a_rule(kinds=["text"])],
            [a_rule(kinds=["quiz"])],
            [("biology", Difference.CHANGED, ("kinds +quiz -text",))],
        ),
        ([a_rule(enabled=False)], [a_rule()], [("biology", Difference.BROADER, ("enabled",))]),
        ([a_rule()], [a_rule(enabled=False)], [("biology", Difference.NARROWER, ("disabled",))]),
        (
            [a_rule(maxJobsPerRun=3)],
            [a_rule(maxJobsPerRun=4)],
            [("biology", Difference.BROADER, ("maxJobsPerRun 3 -> 4",))],
        ),
        ([a_rule()], [a_rule()], []),
    ],
)
def test_rule_by_rule(before, after, expected):
    found = rule_differences(policy(*before), policy(*after))

    assert [(each.rule_id, each.difference, each.changes) for each in found] == expected


def test_a_thousand_rules_that_differ_in_one_are_compared_quickly():
    rules = [a_rule(f"r{number}", slotIds=[f"slot-{number}"]) for number in range(1000)]
    before, after = policy(*rules), policy(a_rule("new", slotIds=["fresh"]), *rules)

    began = time.process_time()
    parts = list(broader_parts(before, after))

    assert [part.rule_id for part in parts] == ["new"]
    assert time.process_time() - began < 2


def test_a_comparison_that_nobody_would_wait_for_is_taken_as_broader():
    # Each rule cuts one corner off a cube of many values: the pieces multiply.
    names = [f"v{number}" for number in range(40)]

    def rule(name, numbers, limit):
        applies_to = {
            field: [names[(number * (place + 1)) % 40] for number in numbers]
            for place, field in enumerate(("subject", "level", "board", "specVersion"))
        }
        return a_rule(name, appliesTo=applies_to, maxJobsPerRun=limit)

    old = [rule(f"o{number}", range(number, number + 25), 1 + number % 2) for number in range(40)]
    everything = a_rule("all", appliesTo=dict.fromkeys(("subject", "level", "board", "specVersion"), names))

    assert is_broader(policy(*old), policy(everything))
