"""Job validation: the engine of the hot path against pure jsonschema."""

from __future__ import annotations

import timeit

import jsonschema

import schemas
from tests.builders import a_job, a_spec


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    spec = a_spec(*(a_job(f"job-{each}") for each in range(5)))
    judge = jsonschema.Draft202012Validator(schemas.load("job.v1"))
    ours = min(timeit.repeat(lambda: schemas.is_valid("job.v1", spec), number=2000, repeat=3)) / 2000
    pure = min(timeit.repeat(lambda: judge.is_valid(spec), number=100, repeat=3)) / 100
    return [
        ("validation of a spec of 5 jobs, jsonschema-rs", f"{ours * 1e6:.1f} us", ""),
        ("validation, jsonschema / jsonschema-rs", f"{pure / ours:.0f}x", ">= 10x"),
    ]
