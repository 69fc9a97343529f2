"""`python docs/vocabulary.py`: writes the lists of the code to where code cannot ask.

Those are gates, reasons, dials, metrics, log events and commands; the places are the errorCode of telemetry
v1 with its lock, and the tables behind a marker in the pages. With `--check` nothing is written, and what is
not as it should be is named.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from gates import DIALS, GATES, REASONS, Gate
from schemas import lock
from tasks.errors import ErrorCode
from telemetry.log_events import LOG_EVENTS
from telemetry.metrics import METRICS
from worker.cli import descriptions

ROOT = Path(__file__).resolve().parents[1]
_SCHEMA = ROOT / "schemas" / "telemetry.v1.json"
_PAGES = (ROOT / "README.md", ROOT / "gates" / "CONTRACT.md", *sorted((ROOT / "docs").glob("*.md")))
_OWN = [code.value for code in ErrorCode if code not in REASONS]
# `<!-- NAME: why -->` and the table after it.
_TABLE = re.compile(r"(<!-- ([\w-]+): [^\n]*-->\n)((?:\|[^\n]*\n)+)")
_ENUM = re.compile(r'"enum": \[(\s*)((?:null,\s*)?)("KILL_SWITCH"[^\]]*)\]')


def _schema(text: str) -> str:
    def words(found: re.Match[str]) -> str:
        gap, null, present = found.groups()
        # Which of our own words a status may have is the schema's to say; the whole list is ours.
        own = _OWN if null else [word for word in _OWN if f'"{word}"' in present]
        listed = [*(["null"] if null else []), *(f'"{word}"' for word in (*REASONS, *own))]
        return f'"enum": [{gap}{f",{gap}".join(listed)}{gap[:-2]}]'

    return _ENUM.sub(words, text)


def _page(text: str) -> str:
    def table(found: re.Match[str]) -> str:
        marker, name, old = found.groups()
        head, rule, *rows = old.splitlines(keepends=True)
        return marker + head + rule + "".join(_ROWS[name](rows)) if name in _ROWS else found.group()

    return _with_columns(_TABLE.sub(table, text))


def _with_columns(text: str) -> str:
    """Return `text` with the heads of the one table whose columns are the gates'."""
    names = [gate.name for gate in GATES]
    head = f"| {' | '.join(names)} | errorCode |\n|{'---|' * (len(names) + 1)}\n"
    return re.sub(r"(<!-- first-no: [^\n]*-->\n)\|[^\n]*\n\|[^\n]*\n", lambda found: found[1] + head, text)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _order(_: list[str]) -> Iterator[str]:
    for number, gate in enumerate(GATES, 1):
        yield _row(
            str(number), f"`{gate.name}`", gate.admits_when, " ".join(f"`{each}`" for each in gate.reasons)
        )


def _first_no(_: list[str]) -> Iterator[str]:
    yield _row(*["yes"] * len(GATES), "-")
    for first in reversed(range(len(GATES))):
        yield _row(
            *(("yes", "no")[number >= first] for number in range(len(GATES))), _first_reason(GATES[first])
        )
    for only, gate in enumerate(GATES[:-1]):
        yield _row(*(("yes", "no")[number == only] for number in range(len(GATES))), _first_reason(gate))


def _first_reason(gate: Gate[object]) -> str:
    return f"`{next(iter(gate.reasons))}`"


def _reasons(_: list[str]) -> Iterator[str]:
    for gate in GATES:
        for reason in gate.reasons:
            yield _row(f"`{reason}`", f"`{gate.name}`", reason.when)


def _error_codes(rows: list[str]) -> Iterator[str]:
    for reason in REASONS:
        yield _row(f"`{reason}`", "STUB", reason.when, reason.remedy, "yes, then")
    yield from (row for row in rows if row.split("`")[1] in _OWN)


def _dials(_: list[str]) -> Iterator[str]:
    for dial in DIALS:
        variable = f"`{dial.variable}`" if dial.variable else ""
        yield _row(f"`slotgen:{dial}`", dial.opens_when, dial.otherwise, variable)


def _settings(rows: list[str]) -> Iterator[str]:
    yield from (row for row in rows if " restricts `slotgen:" not in row)
    for dial in DIALS:
        if dial.variable:
            meaning = f"restricts `slotgen:{dial}` in this deployment, whatever the dial says: {dial.remedy}"
            yield _row(f"`{dial.variable}`", "unset", meaning)


def _metrics(_: list[str]) -> Iterator[str]:
    for row in METRICS:
        yield _row(f"`{row.name}`", row.kind, ", ".join(row.labels), row.meaning)


def _log_events(_: list[str]) -> Iterator[str]:
    for row in LOG_EVENTS:
        yield _row(f"`{row.name}`", row.level, ", ".join(f"`{name}`" for name in row.fields), row.meaning)


def _commands(rows: list[str]) -> Iterator[str]:
    """Keep what is written of a command, with its options; a new one begins with its own help."""
    commands = descriptions()
    known = {re.findall(r"`slotgen ([a-z]+)", row)[0]: row for row in rows}
    yield from (row for name, row in known.items() if name in commands)
    yield from (_row(f"`slotgen {name}`", text) for name, text in commands.items() if name not in known)


_ROWS = {
    "order": _order,
    "first-no": _first_no,
    "reasons": _reasons,
    "errorCodes": _error_codes,
    "dials": _dials,
    "settings": _settings,
    "metrics": _metrics,
    "log-events": _log_events,
    "commands": _commands,
}


def main() -> int:
    """Write what has changed, or with `--check` only name it; return the exit code."""
    writers = {_SCHEMA: _schema} | dict.fromkeys(_PAGES, _page)
    texts = {path: path.read_text("utf-8") for path in writers}
    changed = {path: new for path, write in writers.items() if (new := write(texts[path])) != texts[path]}
    for path in changed:
        sys.stderr.write(f"{path.relative_to(ROOT)}: is not what the code says\n")
    if "--check" in sys.argv:
        return 1 if changed else 0
    for path, text in changed.items():
        path.write_text(text, "utf-8")
    if _SCHEMA in changed:
        _lock_anew()
    return 0


def _lock_anew() -> None:
    """Amend the lock, which nobody may once the schema is released: then new words are telemetry.v2's."""
    locks = lock.FOLDER / "schemas.lock"
    entries = json.loads(locks.read_text("utf-8"))
    locks.write_text(json.dumps({name: entries[name] for name in entries if name != _SCHEMA.name}), "utf-8")
    lock.write()


if __name__ == "__main__":
    sys.exit(main())
