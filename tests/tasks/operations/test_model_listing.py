"""What is known of a model in words, and when that is a problem."""

from __future__ import annotations

import pytest

from tasks.operations.model_listing import NEAR_DAYS, ModelListing

# 2026-11-27, a second before midnight in UTC.
NOW_MS = 1_795_823_999_000


def listed(shutdown_date):
    return ModelListing("m", listed=True, shutdown_date=shutdown_date, unknown="")


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (ModelListing("m"), "m: not known (not asked yet)"),
        (ModelListing("m", unknown="HTTP 404"), "m: not known (HTTP 404)"),
        (listed(None), "m: its server says nothing of a shutdown"),
        (listed(""), "m: no shutdown is announced"),
        (listed("2027-06-11"), "m: until 2027-06-11"),
    ],
)
def test_what_is_no_problem_is_said_in_words(listing, said):
    assert (str(listing), listing.problem(NOW_MS), listing.is_usable(NOW_MS)) == (said, "", True)


@pytest.mark.parametrize(
    ("day", "problem", "usable"),
    [
        ("2026-12-28", "", True),
        ("2026-12-27", "the model m will be shut down on 2026-12-27, in 30 days", True),
        ("2026-11-28", "the model m will be shut down on 2026-11-28, in 1 day", True),
        ("2026-11-27", "the model m was shut down on 2026-11-27", False),
        ("2025-01-01", "the model m was shut down on 2025-01-01", False),
    ],
)
def test_a_shutdown_is_a_problem_from_thirty_days_before_it(day, problem, usable):
    assert NEAR_DAYS == 30
    assert (listed(day).problem(NOW_MS), listed(day).is_usable(NOW_MS)) == (problem, usable)


def test_a_model_that_the_key_cannot_use_is_a_problem():
    listing = ModelListing("m", listed=False, unknown="")

    assert listing.problem(NOW_MS) == "the key cannot use the model m: GET /v1/models does not list it"
    assert not listing.is_usable(NOW_MS)


@pytest.mark.parametrize("said", ["soon", "2026-13-01", "9" * 5000, "\x1b[2J"])
def test_what_is_no_day_is_no_shutdown(said):
    assert (listed(said).shutdown, listed(said).problem(NOW_MS)) == (None, "")
