"""What a refusal for want of money says."""

from __future__ import annotations

import pytest

from tasks.operations.money import uncovered


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ((4_000_000, -1, 0), "a call may cost $0.004000, and the spend cap is malformed, which covers none"),
        (
            (4_000_000, 1000, 0),
            "a call may cost $0.004000, which is more than the whole spend cap of $0.000001",
        ),
        (
            (4_000_000, 10_000_000, 9_000_000),
            "a call may cost $0.004000, and of the spend cap of $0.010000 $0.001000 is left",
        ),
    ],
)
def test_it_names_the_call_the_cap_and_what_is_left(figures, said):
    assert uncovered(*figures).startswith(f"{said}; ")
