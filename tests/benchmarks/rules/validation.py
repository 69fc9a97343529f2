"""Job validation: the engine of the hot path against pure-Python jsonschema, and their verdicts on a corpus.

The corpus is made of the examples that each schema carries: as they are, and with each of their values in
turn left out or replaced by one that is awkward. Hypothesis goes on from there in tests/schemas.
"""

from __future__ import annotations

import copy
import timeit
from collections.abc import Iterator
from typing import Any

import schemas
from tests.benchmarks.rig.row import Row, at_least, holds
from tests.builders import a_job, a_spec
from tests.schemas.judge import _TRICKY, _TRICKY_TEXT, Judge, at, examples, judge, places, replaced


def run() -> Iterator[Row]:
    """Yield the rows."""
    spec = a_spec(*(a_job(f"job-{each}") for each in range(5)))
    # With its references resolved, as ours has them, and with our two keywords: the same work.
    slow = Judge(schemas.load("job.v1"))
    ours = min(timeit.repeat(lambda: schemas.is_valid("job.v1", spec), number=2000, repeat=3)) / 2000
    pure = min(timeit.repeat(lambda: slow.is_valid(spec), number=100, repeat=3)) / 100
    yield Row("validation of a spec of 5 jobs, jsonschema-rs", f"{ours * 1e6:.1f} us")
    yield at_least("  pure jsonschema / jsonschema-rs", pure / ours, 10, "x")
    verdicts = [
        (schemas.is_valid(name, document), judge(name).is_valid(document))
        for name in schemas.names()
        for document in corpus(name)
    ]
    differing = sum(ours != theirs for ours, theirs in verdicts)
    valid = sum(ours for ours, _ in verdicts)
    yield holds(
        f"  verdicts on {len(verdicts):,} documents of {len(schemas.names())} schemas",
        f"{len(verdicts) - differing:,} the same ({valid:,} valid in ours)",
        "all the same",
        met=not differing,
    )


def corpus(name: str) -> Iterator[Any]:
    for example in examples(name):
        yield example
        for path in places(example):
            yield from (replaced(example, path, value) for value in (*_TRICKY_TEXT, *_TRICKY))
            if path:
                yield without(example, path)


def without(document: Any, path: tuple[Any, ...]) -> Any:
    copied = copy.deepcopy(document)
    del at(copied, path[:-1])[path[-1]]
    return copied
