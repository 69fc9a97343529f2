"""The five-gate decision: a small policy, a large one, and other systems' local evaluation."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from gates import Controls, Subject, evaluate
from tasks.generate.spec import Spec
from tests.benchmarks.rig.row import Row, at_least, at_most
from tests.builders import a_rule, a_spec, an_allowlist, controls

ROUNDS, NUMBER = 7, 50_000
FLAGS = Path(__file__).resolve().parents[3] / ".tools" / "flags" / "bin" / "python"


def run() -> list[Row]:
    """Return the rows."""
    subject = Spec.of(a_spec()).jobs[0].subject
    figures = {}
    for rules in (3, 1000):
        policy = [a_rule(f"r{each}", kinds=["statutory"]) for each in range(rules - 1)] + [a_rule("last")]
        dials = controls(allowlist=an_allowlist(*policy).encode())
        assert evaluate(subject, dials).allowed
        figures[rules] = microseconds(subject, dials)
    return [
        at_most("five-gate decision, policy of 3 rules, CPU", figures[3], 1, " us"),
        at_most(
            "  policy of 1,000 rules / of 3",
            figures[1000] / figures[3],
            2,
            figure=f"{figures[1000] / figures[3]:.2f} ({figures[1000]:.2f} / {figures[3]:.2f} us)",
        ),
        *against_others(figures[3]),
    ]


def microseconds(subject: Subject, dials: Controls) -> float:
    """Return the CPU time of one decision, as flags.py measures the others."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(NUMBER):
            evaluate(subject, dials)
        best = min(best, time.thread_time() - began)
    return best / NUMBER * 1e6


def against_others(ours: float) -> list[Row]:
    if not FLAGS.exists():
        return [Row("  the fastest of four flag clients / ours", "not measured: make bench installs them")]
    # Without our packages on the path, and where an SDK may look for a proxy or a key.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [FLAGS, Path(__file__).with_name("flags.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    others = json.loads(done.stdout.splitlines()[-1])
    shown = ", ".join(f"{name} {each:.1f}" for name, each in sorted(others.items(), key=lambda each: each[1]))
    return [
        Row("  the same rule in other systems' local evaluation, us", shown),
        at_least("  the fastest of them / ours", min(others.values()) / ours, 12, "x"),
    ]
