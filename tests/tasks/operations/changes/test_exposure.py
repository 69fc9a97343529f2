"""Which dimensions a change of the dials widens."""

from __future__ import annotations

import pytest

from tasks.operations.changes.exposure import is_live, widened
from tests.builders import OPEN, a_rule, an_allowlist

ALL_OPEN = OPEN | {"allowlist": an_allowlist().encode()}
NARROW = an_allowlist(a_rule(kinds=["revision"])).encode()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, ()),
        ({"feature": b"false"}, {}, ("feature",)),
        ({"feature": b"TRUE"}, {}, ("feature",)),
        ({"rollout_percent": b"1"}, {"rollout_percent": b"1.001"}, ("rollout",)),
        ({"rollout_percent": b"ten"}, {"rollout_percent": b"1"}, ("rollout",)),
        ({"allowlist": NARROW}, {}, ("allowlist",)),
        ({"allowlist": None}, {"allowlist": NARROW}, ("allowlist",)),
        ({}, {"allowlist": NARROW, "feature": None, "rollout_percent": b"5"}, ()),
        (
            {"allowlist": NARROW, "feature": None, "rollout_percent": None},
            {},
            ("feature", "allowlist", "rollout"),
        ),
        ({"kill": b"true", "feature": None}, {"kill": b"true"}, ("feature",)),
        ({"budget_usd": b"5"}, {"budget_usd": b"6"}, ("budget",)),
        ({"budget_usd": b"5"}, {"budget_usd": b"5.00"}, ()),
        ({"budget_usd": b"5"}, {"budget_usd": b"4"}, ()),
        ({"budget_usd": b"5"}, {}, ("budget",)),
        ({"budget_usd": b"0"}, {}, ("budget",)),
        ({}, {"budget_usd": b"5"}, ()),
        ({"budget_usd": b"5"}, {"budget_usd": b"lots"}, ()),
        ({"budget_usd": b"lots"}, {"budget_usd": b"0.01"}, ("budget",)),
    ],
)
def test_a_dimension_is_judged_by_its_own_dial(before, after, expected):
    assert widened(ALL_OPEN | before, ALL_OPEN | after) == expected


@pytest.mark.parametrize(
    ("dials", "expected"),
    [
        ({}, True),
        ({"kill": b"true"}, False),
        ({"kill": None}, False),
        ({"feature": None}, False),
        ({"rollout_percent": b"0"}, False),
        ({"allowlist": None}, False),
        ({"allowlist": an_allowlist(enabled=False).encode()}, False),
        ({"allowlist": an_allowlist(a_rule(kinds=[])).encode()}, False),
    ],
)
def test_it_is_live_only_when_all_gates_let_something_through(dials, expected):
    assert is_live(ALL_OPEN | dials) is expected
