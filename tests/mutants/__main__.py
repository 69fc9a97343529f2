"""Makes every mutant, runs its tests, and compares what survives with the list; `make mutants` calls it.

With paths as arguments it tries those files alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import leftovers
from tests.mutants.listed import LIST, complaints, read
from tests.mutants.lua import lua_mutants
from tests.mutants.mutant import Mutant
from tests.mutants.python import python_mutants
from tests.mutants.trial import Tree, check, import_libraries, survivors
from tests.surroundings import ROOT, make_the_same_everywhere

_DIFF = "tasks/operations/policy_diff"


@dataclass(frozen=True, slots=True)
class Target:
    """A file, and what pytest is given to notice its mutants: the likeliest tests first.

    Where there are `places`, only what is in a function or a class that begins so is changed.
    """

    path: str
    tests: tuple[str, ...]
    places: tuple[str, ...] = ()

    def mutants(self) -> Iterator[Mutant]:
        source = (ROOT / self.path).read_text(encoding="utf-8")
        for each in (*python_mutants(self.path, source), *lua_mutants(self.path, source)):
            if not self.places or each.place.startswith(self.places):
                yield each


def gate(name: str, *tests: str) -> Target:
    return Target(f"gates/{name}.py", tuple(f"tests/gates/test_{each}.py" for each in tests))


def policy_diff(name: str, *tests: str) -> Target:
    return Target(f"{_DIFF}/{name}.py", tuple(f"tests/{_DIFF}/test_{each}.py" for each in tests))


TARGETS = (
    gate("allowlist", "allowlist", "controls", "pipeline", "words", "contract_document"),
    gate("controls", "controls", "ceilings", "kill_switch", "pipeline"),
    gate("decision", "decision", "contract_document"),
    gate("evaluation", "pipeline", "allowlist"),
    gate("feature_flag", "feature_flag", "contract_document", "words", "pipeline"),
    gate("gate", "controls", "ceilings", "kill_switch", "allowlist", "words"),
    gate("kill_switch", "kill_switch", "controls", "contract_document", "words", "pipeline"),
    gate("opt_in", "opt_in", "contract_document", "words"),
    gate("pipeline", "pipeline", "decision"),
    gate("policy", "policy", "allowlist", "pipeline"),
    gate("rollout", "rollout", "controls", "contract_document", "words"),
    Target(
        "gates/rule.py",
        ("tests/gates/test_allowlist.py", "tests/gates/test_policy.py", f"tests/{_DIFF}/test_differences.py"),
    ),
    policy_diff("cells", "cells", "differences", "comparison"),
    policy_diff("comparison", "comparison", "differences"),
    policy_diff("differences", "differences"),
    Target("tasks/generate/acceptance.py", ("tests/tasks/generate/test_acceptance.py",)),
    # The brake.
    Target("tasks/limits/brake.py", ("tests/tasks/limits/test_brake.py",)),
    Target("worker/halt/brake_bridge.py", ("tests/worker/halt/test_brake_bridge.py",)),
    # The budget: what a call may cost and did, the cap, and the account.
    Target(
        "tasks/executor_config.py",
        ("tests/tasks/test_executor_config.py",),
        ("Price", "_ceiling", "ExecutorConfig.worst_case", "ExecutorConfig.cost"),
    ),
    Target(
        "tasks/generate/generation.py",
        tuple(f"tests/tasks/generate/test_{each}.py" for each in ("generation", "arrival", "decided_again")),
        tuple(
            f"Generation.{each}"
            for each in (
                "arrive",
                "_book",
                "_held_seconds",
                "_attempt",
                "_judge",
                "_fly",
                "_depart",
                "_cost",
                "_decide_again",
            )
        ),
    ),
    Target("tasks/operations/changes/spend_cap.py", ("tests/tasks/operations/changes/test_spend_cap.py",)),
    Target("worker/adapters/redis/dial_lua.py", ("tests/worker/adapters/redis/test_dial_lua.py",)),
    Target(
        "worker/adapters/redis/jobs/budget.py",
        tuple(f"tests/worker/adapters/redis/jobs/test_{each}.py" for each in ("budget", "steps")),
    ),
    *(
        Target(
            f"worker/adapters/redis/jobs/{each}.py",
            (
                "tests/worker/adapters/redis/jobs/test_steps.py",
                "tests/worker/adapters/redis/jobs/test_claims.py",
                "tests/worker/adapters/redis/jobs/test_budget.py",
                "tests/worker/adapters/redis/jobs/test_rate_limits.py",
                "tests/worker/adapters/redis/jobs/test_guard.py",
                "tests/worker/adapters/redis/jobs/test_bookings.py",
                "tests/contracts/test_stores.py",
            ),
        )
        for each in ("steps", "claims", "rate_limits")
    ),
)


def try_all(targets: list[Target], scratch: Path) -> tuple[int, list[Mutant]]:
    """Return how many mutants there were, and the survivors; a line is printed for each file."""
    trees = [Tree.copy(ROOT, scratch / str(number)) for number in (1, 2)]
    import_libraries()
    count, alive = 0, list[Mutant]()
    for each in targets:
        check(trees[0], each.tests)
        began_mono = time.monotonic()
        mutants = list(each.mutants())
        survived = survivors(mutants, each.tests, trees)
        seconds = time.monotonic() - began_mono
        print(f"{each.path}: {len(mutants)} mutants, {len(survived)} survived ({seconds:.0f} s)", flush=True)
        count += len(mutants)
        alive += survived
    return count, alive


def main() -> None:
    asked = sys.argv[1:] or [each.path for each in TARGETS]
    targets = [each for each in TARGETS if each.path in asked]
    if len(targets) < len(asked):
        sys.exit(f"no such target; choose of {', '.join(each.path for each in TARGETS)}")
    began_mono = time.monotonic()
    run = leftovers.Run()
    make_the_same_everywhere(run.folder, {leftovers.VARIABLE: str(run.folder)})
    try:
        count, alive = try_all(targets, run.folder / "mutants")
    finally:
        run.end()
    listed = [each for each in read(LIST.read_text(encoding="utf-8")) if each.path in asked]
    wrong = complaints(alive, listed)
    minutes = (time.monotonic() - began_mono) / 60
    print(f"{len(alive)} of {count} survived, in {minutes:.1f} min; the list disagrees on {len(wrong)}")
    if wrong:
        sys.exit("\n\n".join(wrong))


if __name__ == "__main__":
    main()
