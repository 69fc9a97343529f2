"""What concerns every test: its surroundings, what it leaves behind, and the tables at the end of a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import leftovers, surroundings

# Here and not in tests/faults: under xdist the process that has the terminal collects nothing, and so sees no
# conftest below this.
pytest_plugins = ["tests.faults.rig.table", "tests.monitoring.figures"]

# A process of xdist, and a pytest that a test runs, belong to the run that started them.
_outer_folder = os.environ.get(leftovers.VARIABLE)
_run = None if _outer_folder else leftovers.Run()
_folder = _run.folder if _run else Path(str(_outer_folder))
# Before anything is imported that reads the environment.
surroundings.make_the_same_everywhere(_folder, {leftovers.VARIABLE: str(_folder)})

# The same examples each time, and no verdict by the clock; `make soak` looks for new ones with "explore".
_steady = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", _steady)
settings.register_profile("steady", _steady, derandomize=True)
settings.load_profile("steady")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what was left running, and let the run fail for it."""
    left = _run.end() if _run else []
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[_LEFT] = left


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for each in config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"left running by a test, and killed: {each[:300]}", red=True)


_LEFT = pytest.StashKey[list[str]]()
