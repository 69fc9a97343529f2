"""`python -m tests.benchmarks [--json] [NAME …]`: prints one table, fails nothing by itself.

Rows go to stderr as they come, the table or the JSON to stdout at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
import time
import traceback
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from tests.benchmarks.rig import machine
from tests.benchmarks.rig.row import Row

# In the order of the table; each is known by the last part of its name.
_MODULES = (
    "rules.decision",
    "rules.validation",
    "rules.plain_text",
    "jobs.stub_throughput",
    "jobs.tracing",
    "jobs.latency",
    "jobs.exchanges",
    "jobs.redis_commands",
    "calls.calls",
    "calls.halt",
    "jobs.queue_depth",
    "jobs.scaling",
    "jobs.startup",
    "jobs.memory",
    "jobs.enqueue",
    "jobs.history",
    "jobs.money",
    "jobs.pools",
)
BENCHMARKS = {each.rpartition(".")[2]: f"tests.benchmarks.{each}" for each in _MODULES}


def main() -> None:
    given = arguments()
    rows: list[tuple[str, Row]] = []
    try:
        for name in given.names or BENCHMARKS:
            rows.extend((name, row) for row in told(name))
    except KeyboardInterrupt:
        say("interrupted: what follows was measured before")
    if given.json:
        print(json.dumps({"machine": machine.described(), "rows": [document(*each) for each in rows]}))
    else:
        Console(width=132).print(table(rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, epilog=f"benchmarks: {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; everything by default")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    given = parser.parse_args()
    # By hand: argparse holds an empty list against `choices`.
    unknown = [each for each in given.names if each not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no benchmark; take some of {', '.join(BENCHMARKS)}")
    return given


def told(name: str) -> Iterator[Row]:
    """Run one benchmark and tell its rows as they come; when it breaks, its last row says so."""
    say(f"{name} …")
    began_mono = time.monotonic()
    try:
        for row in importlib.import_module(BENCHMARKS[name]).run():
            say(f"    {row.measure}: {row.figure}  {row.verdict}")
            yield row
    except Exception as error:  # noqa: BLE001 - one that is broken must not lose the others' rows
        traceback.print_exc()
        yield Row(name, f"broke: {type(error).__name__}: {error}")
    say(f"    took {time.monotonic() - began_mono:.0f} s")


def table(rows: list[tuple[str, Row]]) -> Table:
    here = machine.described()
    title = f"slotgen: {here['cores']} cores of {here['cpu']}, Python {here['python']}, Redis {here['redis']}"
    drawn = Table("measure", "figure", "target", "verdict", title=title)
    for index, (name, row) in enumerate(rows):
        if index and name != rows[index - 1][0]:
            drawn.add_section()
        drawn.add_row(row.measure, row.figure, row.target, row.verdict)
    return drawn


def document(name: str, row: Row) -> dict[str, object]:
    return {"benchmark": name} | dataclasses.asdict(row)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
