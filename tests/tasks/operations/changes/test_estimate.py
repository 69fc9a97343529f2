"""What a change would have meant for the jobs that came lately."""

from __future__ import annotations

from dataclasses import replace

from tasks.operations.changes.estimate import estimate
from tests.builders import controls
from tests.tasks.operations.past import an_outcome

JOBS = [an_outcome(subject=replace(an_outcome().subject, job_id=f"job-{n}")) for n in range(200)]


def test_counts_each_job_once():
    effect = estimate([*JOBS, *JOBS], controls(rollout_percent=b"1"), controls(rollout_percent=b"50"))

    assert effect.jobs == 200
    assert effect.admitted_before < effect.admitted_after
    assert 60 < effect.admitted_after < 140


def test_takes_the_brake_as_off_on_both_sides():
    effect = estimate(JOBS, controls(kill=b"true"), controls(kill=None))

    assert (effect.admitted_before, effect.admitted_after) == (200, 200)


def test_says_it_in_one_line():
    assert estimate(JOBS, controls(feature=None), controls()).sentence == (
        "of the 200 distinct jobs of the last 24 h, 0 -> 200 would be admitted (+200)"
    )
    assert estimate([], controls(), controls()).sentence == (
        "no jobs came in the last 24 h to estimate the effect from"
    )
