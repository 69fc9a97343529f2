"""Sets of jobs as boxes: what touches what, and what is left when some are cut away."""

from __future__ import annotations

import itertools

import pytest

from gates.rule import FIELDS, AllowRule
from tasks.operations.policy_diff.cells import Cells, ComplexityLimit, cell_of, numbers, overlap
from tests.gates.given import a_rule, a_subject

# The longest list of values that is looked up one by one, and the shortest that is not.
LOOKED_UP, TOO_LONG = 64, 65
ALL_OF_THEM = -1


def values(number, first=0):
    return frozenset(f"v{each}" for each in range(first, first + number))


def a_box(*fields):
    """Return a box with those fields first, and one value in each of the others."""
    return (*(frozenset(each) for each in fields), *[frozenset({"any"})] * (6 - len(fields)))


def jobs_in(cell):
    return set(itertools.product(*cell))


def pieces(cells, cell, covers=ALL_OF_THEM):
    return list(Cells.of(cells).outside(cell, covers, iter(range(1000))))


def test_the_box_of_a_rule_has_its_lists_and_every_slot_for_none():
    rule = AllowRule.of(a_rule(kinds=["quiz"]))
    slots = frozenset({"a slot"})

    fields = ({"Biology"}, {"GCSE"}, {"AQA"}, {"8461"}, {"quiz"}, {"a slot"})
    assert cell_of(rule, slots) == tuple(map(frozenset, fields))
    assert cell_of(AllowRule.of(a_rule(slotIds=["its own"])), slots)[5] == {"its own"}


def test_the_names_of_the_fields_are_those_of_the_policy_in_the_order_of_a_box():
    nowhere = {"subject": [], "level": [], "board": [], "specVersion": []}
    rule = AllowRule.of(a_rule(appliesTo=nowhere, kinds=[], slotIds=["another"]))

    assert rule.failing_fields(a_subject()) == FIELDS


def test_boxes_of_other_fields_are_a_bug_and_not_taken_for_a_match():
    cell = a_box("a")

    with pytest.raises(ValueError, match="argument 2 is"):
        overlap(cell, cell[:-1])
    with pytest.raises(ValueError, match="argument 2 is"):
        Cells.of([cell]).touching((*cell, frozenset("a")))


def test_an_overlap_is_what_both_have_in_each_field():
    assert overlap(a_box("ab", "c"), a_box("bd", "c")) == a_box("b", "c")


def test_only_a_box_that_shares_a_value_in_each_field_touches():
    cells = Cells.of([a_box("a", "x"), a_box("b", "y"), a_box("ab", "y")])

    assert list(numbers(cells.touching(a_box("a", "y")))) == [2]
    assert list(numbers(cells.touching(a_box("b", "y")))) == [1, 2]
    assert cells.touching(a_box("c", "x")) == 0


@pytest.mark.parametrize("count", [LOOKED_UP, TOO_LONG])
def test_a_box_with_a_long_list_is_found_by_the_values_in_it(count):
    cells = Cells.of([a_box("a", "x"), a_box(values(count), "x")])

    assert list(numbers(cells.touching(a_box(["v0"], "x")))) == [1]
    assert list(numbers(cells.touching(a_box(["v0"], "y")))) == []


def test_a_list_is_looked_up_up_to_a_length_and_from_there_on_touches_everything():
    cells = Cells.of([a_box("a"), a_box("b"), a_box(values(LOOKED_UP))])

    assert list(numbers(cells.touching(a_box(values(LOOKED_UP, first=1000))))) == []
    assert list(numbers(cells.touching(a_box(values(TOO_LONG, first=1000))))) == [0, 1, 2]


def test_everything_is_all_the_boxes_and_no_other_number():
    everywhere = [values(TOO_LONG)] * 6

    assert Cells.of([a_box("a"), a_box("b")]).touching(a_box(*everywhere)) == 0b11


def test_what_no_box_covers_is_left_whole():
    cell = a_box("ab", "xy")

    assert pieces([], cell) == [cell]
    assert pieces([a_box("c", "xy")], cell) == [cell]


def test_what_one_box_covers_is_gone():
    assert pieces([a_box("abc", "xy")], a_box("ab", "xy")) == []


def test_what_several_boxes_cover_together_is_gone():
    assert pieces([a_box("a", "xy"), a_box("b", "x"), a_box("b", "y")], a_box("ab", "xy")) == []


def test_only_the_boxes_that_are_named_cut():
    cells = [a_box("a"), a_box("b")]

    assert pieces(cells, a_box("ab"), covers=0b10) == [a_box("a")]


def test_a_piece_that_is_covered_does_not_end_the_search_for_the_others():
    # The hole cuts the box into two pieces, of which another box covers one: whichever is looked at first.
    cell, hole = a_box("abc", "xyz"), a_box("b", "y")
    for cover in (a_box("b", "xz"), a_box("ac", "xyz")):
        left = pieces([hole, cover], cell)

        assert set().union(*map(jobs_in, left)) == jobs_in(cell) - jobs_in(hole) - jobs_in(cover)


def test_a_list_too_long_to_look_up_covers_only_what_is_in_it():
    long = a_box(values(TOO_LONG))

    assert pieces([long], a_box(["v0", "v64"])) == []
    assert pieces([long], a_box(["v65"])) == [a_box(["v65"])]
    assert pieces([long], a_box(values(TOO_LONG, first=1))) == [a_box(["v65"])]


def test_the_pieces_do_not_overlap():
    left = pieces([a_box("b", "y"), a_box("c", "z")], a_box("abc", "xyz"))

    assert sum(len(jobs_in(each)) for each in left) == 7


def test_a_box_with_an_empty_field_is_nothing_to_begin_with():
    assert pieces([], a_box("", "x")) == []


def test_gives_up_when_the_steps_have_run_out():
    with pytest.raises(ComplexityLimit):
        list(Cells.of([a_box("a")]).outside(a_box("ab"), ALL_OF_THEM, iter(range(1))))
