"""`python -m tests.benchmarks [NAME …]`: prints one table, fails nothing by itself."""

from __future__ import annotations

import importlib
import os
import platform
import sys

from rich.console import Console
from rich.table import Table

NAMES = [
    "decision",
    "validation",
    "stub_throughput",
    "enqueue",
    "history",
    "money",
    "startup",
    "pools",
    "halt",
]


def main() -> None:
    table = Table(
        "measure",
        "figure",
        "target",
        title=f"slotgen, {os.cpu_count()} cores, Python {platform.python_version()}",
    )
    for name in sys.argv[1:] or NAMES:
        for row in importlib.import_module(f"tests.benchmarks.{name}").run():
            table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
