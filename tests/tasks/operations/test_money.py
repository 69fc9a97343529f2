"""What a refusal for want of money says."""

from __future__ import annotations

import pytest

from tasks.operations.money import uncovered, usd


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ((4_000_000, -1, 0), "a call may cost $0.004, and the spend cap is malformed, which covers none"),
        (
            (4_000_000, 1000, 0),
            "a call may cost $0.004, which is more than the whole spend cap of <$0.0001",
        ),
        (
            (4_000_000, 10_000_000, 9_000_000),
            "a call may cost $0.004, and of the spend cap of $0.01 $0.001 is left",
        ),
    ],
)
def test_it_names_the_call_the_cap_and_what_is_left(figures, said):
    assert uncovered(*figures).startswith(f"{said}; ")


@pytest.mark.parametrize(
    ("nano_usd", "said"),
    [
        (0, "$0.00"),
        (1, "<$0.0001"),
        (49_999, "<$0.0001"),
        (205_000, "$0.0002"),
        (20_480_000, "$0.0205"),
        (500_000_000, "$0.50"),
        (5_000_000_000, "$5.00"),
        (4_996_758_000, "$4.9968"),
        (12_000_000_000_000, "$12000.00"),
    ],
)
def test_money_has_two_to_four_digits(nano_usd, said):
    assert usd(nano_usd) == said
