"""When exposure may be widened: one dimension at a time, and not before there is something to observe."""

from __future__ import annotations

import pytest

from tasks.operations.changes.one_dimension import permission
from tests.tasks.operations.past import NOW_MS, a_change

WINDOW = 900
SEEN = NOW_MS - 1000


def test_what_widens_nothing_is_always_allowed():
    assert permission([], [a_change()], None, NOW_MS, WINDOW).allowed


def test_the_first_widening_is_allowed():
    assert permission(["rollout"], [], None, NOW_MS, WINDOW).allowed


def test_two_at_once_are_refused():
    verdict = permission(["feature", "rollout"], [], SEEN, NOW_MS, WINDOW)

    assert not verdict.allowed
    assert verdict.sentence.startswith("this widens feature and rollout at once; change only one of them")


def test_another_dimension_within_the_window_is_refused_until_it_has_passed():
    verdict = permission(["allowlist"], [a_change(minutes_ago=3)], SEEN, NOW_MS, WINDOW)

    assert not verdict.allowed
    assert verdict.wait_seconds == 12 * 60
    assert verdict.sentence == (
        "rollout was widened 3 min ago by ann, and only one dimension may be widened within 15 min; "
        'observe, and wait 12 min, or pass --override "reason"'
    )
    assert permission(["allowlist"], [a_change(minutes_ago=15.1)], SEEN, NOW_MS, WINDOW).allowed


@pytest.mark.parametrize(
    ("minutes_ago", "wait"), [(3.01, "12 min"), (13.99, "2 min"), (14, "1 min"), (14.5, "30 s")]
)
def test_the_wait_that_is_named_is_long_enough(minutes_ago, wait):
    verdict = permission(["allowlist"], [a_change(minutes_ago=minutes_ago)], SEEN, NOW_MS, WINDOW)

    assert f"observe, and wait {wait}, or" in verdict.sentence


def test_the_same_dimension_may_be_widened_again_once_it_was_observed():
    assert permission(["rollout"], [a_change(minutes_ago=3)], SEEN, NOW_MS, WINDOW).allowed


@pytest.mark.parametrize("last_outcome", [None, NOW_MS - 3 * 60_000 - 1])
def test_nothing_is_widened_before_an_outcome_has_come_since_the_last_time(last_outcome):
    verdict = permission(["rollout"], [a_change(minutes_ago=3)], last_outcome, NOW_MS, WINDOW)

    assert not verdict.allowed
    assert "no job has ended since the last widening 3 min ago" in verdict.sentence


def test_narrowing_and_unrelated_changes_in_between_do_not_count():
    recent = [a_change(minutes_ago=1, widened=()), a_change(minutes_ago=20, widened=("feature",))]

    assert permission(["rollout"], recent, SEEN, NOW_MS, WINDOW).allowed


def test_what_was_widened_against_the_rule_counts_like_any_other():
    recent = [a_change(minutes_ago=1, widened=("allowlist",), override="told to")]

    assert not permission(["rollout"], recent, SEEN, NOW_MS, WINDOW).allowed


def test_a_first_opening_is_no_other_dimension_but_has_to_be_observed():
    recent = [a_change(minutes_ago=1, dial="kill", widened=("first_opening",))]

    assert permission(["rollout"], recent, SEEN, NOW_MS, WINDOW).allowed
    assert not permission(["rollout"], recent, None, NOW_MS, WINDOW).allowed


def test_a_window_of_nothing_leaves_only_the_observation():
    assert permission(["allowlist"], [a_change(minutes_ago=0.1)], SEEN, NOW_MS, 0).allowed
