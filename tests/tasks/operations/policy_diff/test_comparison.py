"""Whether a policy is broader than another: held against an enumeration of a whole small universe."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import Allowlist, Subject
from tasks.operations.policy_diff import comparison
from tasks.operations.policy_diff.comparison import ANY_OTHER_SLOT, Part, broader_parts, is_broader
from tests.builders import a_rule, an_allowlist

KINDS = ["quiz", "text"]
VALUES = ["a", "b"]
# Longer than what the comparison looks up value by value.
MANY_SLOTS = ["s1", *(f"m{number}" for number in range(70))]
SLOT_LISTS = [[], ["s1"], ["s2"], ["s1", "s2"], MANY_SLOTS]
SLOTS = ["s1", "s2", "m7", "elsewhere"]
UNIVERSE = [
    Subject(f"job-{number:02}", slot, kind, subject, "GCSE", board, "1", opted_in=True)
    for number, (slot, kind, subject, board) in enumerate(itertools.product(SLOTS, KINDS, VALUES, VALUES))
]


def policy(*some_rules, **changes):
    return Allowlist.of(json.loads(an_allowlist(*some_rules, **changes)))


def some(values):
    return st.sampled_from([values, values, *([value] for value in values), []])


MOSTLY_ON = st.sampled_from([True, True, True, False])


@st.composite
def rules(draw):
    return {
        "id": "",
        "enabled": draw(MOSTLY_ON),
        "appliesTo": {
            "subject": draw(some(VALUES)),
            "level": ["GCSE"],
            "board": draw(some(VALUES)),
            "specVersion": ["1"],
        },
        "kinds": draw(some(KINDS)),
        "slotIds": draw(st.sampled_from(SLOT_LISTS)),
        "maxJobsPerRun": draw(st.integers(1, 3)),
    }


def named(some_rules):
    return [rule | {"id": f"r{number}"} for number, rule in enumerate(some_rules)]


def allowlist(some_rules, *, enabled=True):
    return Allowlist.of({"enabled": enabled, "rules": named(some_rules)})


@st.composite
def policies(draw):
    return allowlist(draw(st.lists(rules(), max_size=4)), enabled=draw(MOSTLY_ON))


@st.composite
def relatives(draw):
    """Return two policies that share most of their rules, in whatever order."""
    shared = draw(st.lists(rules(), min_size=1, max_size=4))
    both = []
    for _ in range(2):
        kept = draw(st.permutations(shared))[: draw(st.integers(1, len(shared)))]
        both.append(allowlist(draw(st.permutations([*kept, *draw(st.lists(rules(), max_size=2))]))))
    return tuple(both)


PAIRS = relatives() | st.tuples(policies() | st.none(), policies() | st.none())


def limit(of, job):
    rule = of.first_match(job) if of is not None and of.enabled else None
    return 0 if rule is None else rule.max_jobs_per_run


def slots_of(*some_policies):
    live = [rule for each in some_policies if each and each.enabled for rule in each.rules if rule.enabled]
    return frozenset().union(*(rule.slot_ids for rule in live))


def jobs_in(part, named_slots):
    subjects, _, boards, _, kinds, slots = part.region
    return [
        job
        for job in UNIVERSE
        if job.subject in subjects
        and job.board in boards
        and job.kind in kinds
        and (job.slot_id if job.slot_id in named_slots else ANY_OTHER_SLOT) in slots
    ]


@given(PAIRS)
def test_it_is_broader_exactly_when_some_job_is_admitted_more_freely(pair):
    before, after = pair
    freer = [job for job in UNIVERSE if limit(after, job) > limit(before, job)]

    assert is_broader(before, after) is bool(freer)


@given(PAIRS)
def test_the_parts_hold_each_job_that_is_admitted_more_freely_once_and_no_other(pair):
    before, after = pair
    freer = [job for job in UNIVERSE if limit(after, job) > limit(before, job)]

    found = [(part, job) for part in broader_parts(before, after) for job in jobs_in(part, slots_of(*pair))]

    assert sorted(job.job_id for _, job in found) == [job.job_id for job in freer]
    for part, job in found:
        assert part.compared
        assert part.rule_id == after.first_match(job).id
        assert (part.limit_before or 0, part.limit_after) == (limit(before, job), limit(after, job))


@given(policies())
def test_nothing_is_broader_than_itself(one):
    assert not is_broader(one, one)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (MANY_SLOTS, ["s1"], False),
        (MANY_SLOTS, ["s1", "s2"], True),
        (["s1"], MANY_SLOTS, True),
        (MANY_SLOTS, [], True),
        ([], MANY_SLOTS, False),
        (MANY_SLOTS, MANY_SLOTS[1:], False),
        (MANY_SLOTS[1:], MANY_SLOTS, True),
    ],
)
def test_lists_too_long_to_look_up_are_compared_all_the_same(before, after, expected):
    assert is_broader(policy(a_rule(slotIds=before)), policy(a_rule(slotIds=after))) is expected


@given(st.lists(rules(), max_size=4), rules())
def test_a_rule_at_the_end_takes_nothing_away(some_rules, last):
    assert not is_broader(allowlist([*some_rules, last]), allowlist(some_rules))


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


def test_the_name_of_a_rule_does_not_matter():
    assert not is_broader(policy(a_rule("old-name")), policy(a_rule("new-name")))


def tangled(count):
    """Return rules that overlap each other at random, with as many limits as an operator may give."""
    chance = random.Random(7)
    values = [f"v{number}" for number in range(12)]
    return [
        a_rule(
            f"r{number}",
            appliesTo={
                name: chance.sample(values, 6) for name in ("subject", "level", "board", "specVersion")
            },
            slotIds=[f"slot-{number % 100}"] if number % 3 else [],
            maxJobsPerRun=chance.randint(1, 100),
        )
        for number in range(count)
    ]


THOUSAND = tangled(1000)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (THOUSAND, False),
        (THOUSAND[:-5], False),
        ([rule | {"maxJobsPerRun": 1} for rule in THOUSAND], False),
        ([rule | {"id": f"new-{rule['id']}"} for rule in THOUSAND], False),
        ([*THOUSAND, a_rule("new", slotIds=["fresh"])], True),
        ([*THOUSAND[:500], a_rule("new", slotIds=["fresh"]), *THOUSAND[500:]], True),
        ([THOUSAND[0] | {"enabled": False}, *THOUSAND[1:500], *THOUSAND[501:]], True),
    ],
    ids=[
        "the same",
        "some dropped",
        "all limits lowered",
        "all renamed",
        "one added",
        "one put between",
        "some uncovered",
    ],
)
def test_a_thousand_tangled_rules_of_which_few_differ_take_few_steps(after, expected, monkeypatch):
    before, after = policy(*THOUSAND), policy(*after)
    rivals = itertools.count()

    def overlap(one, other, really=comparison.overlap):
        next(rivals)
        return really(one, other)

    monkeypatch.setattr(comparison, "overlap", overlap)
    parts = list(broader_parts(before, after, most_steps=10_000))

    assert bool(parts) is expected
    assert all(part.compared for part in parts)
    # Each rule held against each of the others would be a million.
    assert next(rivals) <= 1_000


def test_a_comparison_that_nobody_would_wait_for_is_taken_as_broader():
    split = [
        rule | {"id": f"{rule['id']}-{kind}", "kinds": [kind]}
        for rule in tangled(60)
        for kind in rule["kinds"]
    ]
    before, after = policy(*tangled(60)), policy(*split)

    assert not is_broader(before, after)
    *_, part = broader_parts(before, after, most_steps=100)

    assert not part.compared
    assert (
        part.sentence
        == f"rule {part.rule_id} overlaps too many others to be compared, and is taken as broader"
    )


def limits(before, after):
    return [(part.rule_id, part.limit_before, part.limit_after) for part in broader_parts(before, after)]


def test_a_rule_that_is_new_and_no_broader_hides_no_rise_behind_it():
    raised = a_rule("raised", kinds=["quiz"], maxJobsPerRun=5)
    before = policy(raised, a_rule("wide", kinds=["text"]))
    after = policy(a_rule("narrow", kinds=["text"], slotIds=["s1"]), raised | {"maxJobsPerRun": 9})

    assert limits(before, after) == [("raised", 5, 9)]


def test_a_rule_that_is_kept_twice_hides_no_rise_of_another():
    kept, low = (
        a_rule("kept", kinds=["quiz"], maxJobsPerRun=5),
        a_rule("low", kinds=["text"], maxJobsPerRun=3),
    )
    after = policy(kept, kept | {"id": "again"}, low | {"maxJobsPerRun": 4})

    assert limits(policy(kept, low), after) == [("low", 3, 4)]


def test_what_cannot_be_compared_is_the_whole_of_a_rule():
    (part,) = broader_parts(None, policy(a_rule("wide", kinds=["quiz"], maxJobsPerRun=7)), most_steps=0)

    region = tuple(frozenset({each}) for each in ("Biology", "GCSE", "AQA", "8461", "quiz", ANY_OTHER_SLOT))
    assert part == Part("wide", region, None, 7, compared=False)


def test_what_nothing_admitted_before_has_only_the_limit_of_now():
    assert limits(None, policy(a_rule("wide", maxJobsPerRun=7))) == [("wide", None, 7)]
