"""A flood is written down a few times, and the next line says how much was left out."""

from __future__ import annotations

from worker.web.allowance import Allowance


def test_a_burst_goes_through_and_then_one_a_period():
    now = 0.0
    allowance = Allowance(3, 60.0, clock=lambda: now)

    assert [allowance.take() for _ in range(5)] == [0, 0, 0, None, None]
    now = 60.0
    assert [allowance.take(), allowance.take()] == [2, None]
    now = 59.0 + 3 * 60
    assert [allowance.take() for _ in range(3)] == [1, 0, None]


def test_a_day_of_flood_is_bounded():
    now = 0.0
    allowance = Allowance(10, 60.0, clock=lambda: now)
    taken = 0
    for second in range(86_400):
        now = float(second)
        taken += allowance.take() is not None

    assert taken <= 10 + 24 * 60
