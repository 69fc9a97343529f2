"""The dial of the spend cap, as the scripts of the account read it, and which way a change of it goes."""

from __future__ import annotations

import pytest

from gates import Reading, Trouble
from tasks.operations.changes.spend_cap import DIAL, strictest


@pytest.mark.parametrize(
    ("raw", "nano"),
    [
        (None, None),
        (b"0", 0),
        (b"5", 5_000_000_000),
        (b"5.", 5_000_000_000),
        (b"0.000000001", 1),
        (b"12.5", 12_500_000_000),
        (b"999999999999.99", 999_999_999_999_990_000_000),
    ],
)
def test_a_cap_is_dollars_as_decimal_text_and_no_key_is_no_cap(raw, nano):
    assert DIAL.read(raw).value == nano


@pytest.mark.parametrize(
    "raw",
    [b"", b"ten", b"-1", b"+1", b"1e3", b" 5", b"5 ", b"5\n", b".5", b"5.5.5", b"\xd9\xa5", b"nan", b"5,5"],
)
def test_a_cap_that_needs_guessing_covers_nothing(raw):
    assert DIAL.read(raw) == Reading(0, Trouble.MALFORMED)


def test_a_cap_has_at_most_15_characters():
    assert DIAL.parse(b"1" * 15) is not None
    assert DIAL.parse(b"1" * 16) is None


@pytest.mark.parametrize(
    ("cap", "other", "smaller"), [(None, None, None), (5, None, 5), (None, 5, 5), (5, 4, 4), (0, 4, 0)]
)
def test_the_strictest_of_two_caps_holds(cap, other, smaller):
    assert strictest(cap, other) == smaller
