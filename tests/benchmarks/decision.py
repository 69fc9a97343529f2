"""The five-gate decision, with a small policy and a large one."""

from __future__ import annotations

import functools
import timeit

from gates import evaluate
from tasks.spec import Spec
from tests.builders import a_rule, a_spec, an_allowlist, controls

NUMBER = 20_000


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    subject = Spec.of(a_spec()).jobs[0].subject
    figures = {}
    for rules in (3, 1000):
        policy = [a_rule(f"r{each}", kinds=["statutory"]) for each in range(rules - 1)] + [a_rule("last")]
        dials = controls(allowlist=an_allowlist(*policy).encode())
        assert evaluate(subject, dials).allowed
        decide = functools.partial(evaluate, subject, dials)
        figures[rules] = min(timeit.repeat(decide, number=NUMBER, repeat=5)) / NUMBER
    return [
        ("decision, 3 rules", f"{figures[3] * 1e6:.2f} us", "<= 1 us"),
        ("decision, 1,000 rules / 3 rules", f"{figures[1000] / figures[3]:.2f}", "<= 2"),
    ]
