"""How `slotgen status` shows one Redis, or each of several below the other."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from gates import DIALS, allowlist, kill_switch
from tasks.operations.overview import Overview
from tasks.operations.timefmt import counted
from worker.cli.support.console import words
from worker.cli.support.errors import CliError
from worker.cli.views import status_page

# By name; that of the environment has none, and is alone.
Found = Mapping[str, Overview | CliError]
# The dials that producers would notice to differ.
_SAME = [dial for dial in DIALS if dial is not kill_switch.DIAL]
_HASH_LETTERS = 8


def page_of(found: Found) -> RenderableType:
    """Return the screen; that of several has a line for each, and fits 80 columns."""
    if isinstance(alone := found.get(""), Overview):
        return status_page.page(alone)
    dials = [each.name.partition("_")[0] for each in _SAME]
    table = Table(
        "redis",
        "kill",
        *dials,
        "workers",
        "calls",
        "waiting",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )
    below = []
    for name, of in found.items():
        if isinstance(of, CliError):
            table.add_row(name, words("UNREADABLE", "bold white on red"))
            below += [words(f"{name}: {line}", "red") for line in str(of).split("\n")]
            continue
        state, style = status_page.STATES[of.state]
        living = of.living
        numbers = len(living), sum(each.in_flight for each in living), _known(of.queue_depth)
        table.add_row(
            name,
            words(state.partition(" ")[0], style),
            *(each[:_HASH_LETTERS] for each in _dials(of).values()),
            *map(str, numbers),
        )
        blocked = counted(len(of.blockers), "thing") + " in the way of generation" if of.blockers else ""
        below.append(words("; ".join(filter(None, (f"{name}: {of.why}", blocked)))))
    return Group(table, *below, *(words(each, "red") for each in _differences(found)))


def document_of(found: Found) -> Any:
    """Return the document of `--json`."""
    if isinstance(alone := found.get(""), Overview):
        return status_page.document(alone)
    rows = [
        {"name": name} | ({"error": str(of)} if isinstance(of, CliError) else status_page.document(of))
        for name, of in found.items()
    ]
    return {"redis": rows, "differences": _differences(found)}


def _dials(of: Overview) -> dict[str, str]:
    """Return, in words, what is to be the same in each."""
    return {
        line.dial.name: of.controls.policy_hash or "none" if line.dial is allowlist.DIAL else line.effective
        for line in of.dials
        if line.dial in _SAME
    }


def _differences(found: Found) -> list[str]:
    read = {name: _dials(of) for name, of in found.items() if isinstance(of, Overview)}
    lines = []
    for dial in (each.name for each in _SAME):
        values: dict[str, list[str]] = {}
        for name, dials in read.items():
            values.setdefault(dials[dial], []).append(name)
        if len(values) > 1:
            said = "; ".join(f"{value} in {', '.join(names)}" for value, names in values.items())
            lines.append(f"{dial} differs: {said}")
    return lines


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
