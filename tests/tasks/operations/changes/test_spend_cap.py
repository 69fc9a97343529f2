"""The dial of the spend cap, as the scripts of the account read it, and which way a change of it goes."""

from __future__ import annotations

import pytest

from tasks.operations.changes.spend_cap import is_wider, nano_usd, valid


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
    assert nano_usd(raw) == nano


@pytest.mark.parametrize(
    "raw",
    [b"", b"ten", b"-1", b"+1", b"1e3", b" 5", b"5 ", b"5\n", b".5", b"5.5.5", b"\xd9\xa5", b"nan", b"5,5"],
)
def test_a_cap_that_needs_guessing_covers_nothing(raw):
    assert not valid(raw)
    assert nano_usd(raw) == 0


def test_a_cap_has_at_most_15_characters():
    assert valid(b"1" * 15)
    assert not valid(b"1" * 16)


@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [
        (b"5", b"6", True),
        (b"5", b"5.00", False),
        (b"5", b"4", False),
        (b"5", None, True),
        (b"0", None, True),
        (None, b"5", False),
        (None, None, False),
        (b"5", b"lots", False),
        (b"lots", b"0.01", True),
    ],
)
def test_a_cap_is_wider_when_more_may_be_spent(before, after, wider):
    assert is_wider(before, after) is wider
