"""How two policies differ, rule by rule."""

from __future__ import annotations

import json

import pytest

from gates import Allowlist
from tasks.operations.policy_diff.differences import Difference, rule_differences
from tests.builders import a_rule, an_allowlist


def policy(*rules):
    return Allowlist.of(json.loads(an_allowlist(*rules)))


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
        (
            [a_rule(kinds=["text"])],
            [a_rule(kinds=["text", "quiz"])],
            [("biology", Difference.BROADER, ("kinds +quiz",))],
        ),
        (
            [a_rule(kinds=["text", "quiz"])],
            [a_rule(kinds=["text"])],
            [("biology", Difference.NARROWER, ("kinds -quiz",))],
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


def test_a_difference_is_told_in_one_line():
    (found,) = rule_differences(
        policy(a_rule(kinds=["text"])), policy(a_rule(kinds=["quiz"], maxJobsPerRun=9))
    )

    assert found.sentence == "rule biology: changed; kinds +quiz -text; maxJobsPerRun 100 -> 9"


def test_without_a_policy_every_rule_is_added_or_removed():
    assert [each.difference for each in rule_differences(None, policy(a_rule()))] == [Difference.ADDED]
    assert [each.difference for each in rule_differences(policy(a_rule()), None)] == [Difference.REMOVED]


def test_the_words_for_what_became_of_a_rule():
    assert [*Difference] == ["added", "removed", "broader", "narrower", "changed"]
