"""Collects what the monitoring tests measured, and prints it as one table at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console
from rich.table import Table

_PROPERTY = "monitoring"
Saw = Callable[[str, str], None]


@pytest.fixture
def saw_monitoring(record_property) -> Saw:
    """Return `saw_monitoring(measure, figure)`: one row of the table."""
    return lambda measure, figure: record_property(_PROPERTY, (measure, figure))


def pytest_terminal_summary(terminalreporter) -> None:
    table = Table("Measure", "Seen", title="Monitoring")
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, cells in report.user_properties:
                if name == _PROPERTY:
                    measure, figure = cells
                    table.add_row(measure, f"{figure} (this test failed)" if report.failed else figure)
    if table.row_count:
        console = Console(width=110)
        with console.capture() as printed:
            console.print(table)
        terminalreporter.write("\n" + printed.get())
