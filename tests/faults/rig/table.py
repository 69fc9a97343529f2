"""Collects what the fault tests did and saw, and prints it as one table at the end of the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console
from rich.table import Table

_PROPERTY = "fault"
_HEADINGS = ("Fault", "What was done", "What was seen", "Bound")
# Where there is no terminal to measure: the rows of the longest measures still take two lines.
_LEAST_COLUMNS = 130

Saw = Callable[[str, str, str, str], None]


@pytest.fixture
def saw(record_property) -> Saw:
    """Return `saw(fault, what was done, what was seen, bound)`: one row of the table."""
    # A test's properties travel with its report, so that the rows arrive from other processes as well.
    return lambda *cells: record_property(_PROPERTY, cells)


def pytest_terminal_summary(terminalreporter) -> None:
    table = Table(*_HEADINGS, title="The fault suite: what was done, what was seen")
    for cells in sorted(_rows(terminalreporter.stats)):
        table.add_row(*cells)
    if table.row_count:
        columns = max(shutil.get_terminal_size().columns, _LEAST_COLUMNS)
        console = Console(width=columns)
        with console.capture() as printed:
            console.print(table)
        terminalreporter.write("\n" + printed.get())


def _rows(stats: dict[str, list[object]]) -> Iterator[tuple[str, ...]]:
    calls = (each for reports in stats.values() for each in reports if getattr(each, "when", None) == "call")
    for report in calls:
        for name, cells in report.user_properties:
            if name == _PROPERTY:
                yield _marked(cells, failed=report.failed)


def _marked(cells: tuple[str, ...], *, failed: bool) -> tuple[str, ...]:
    fault, done, seen, bound = cells
    return (fault, done, f"{seen} (this test failed)" if failed else seen, bound)
