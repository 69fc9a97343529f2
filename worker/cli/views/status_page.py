"""How `slotgen status` looks, on a screen and as a document."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gates import BrakeState, allowlist
from tasks.operations.changes.dials import RAW_COMMAND
from tasks.operations.fleet import WorkerInfo
from tasks.operations.overview import DialLine, Overview
from tasks.operations.timefmt import ago, span
from worker.cli.commands.exposure.allowlist import described
from worker.cli.support.dial_command import shown_text
from worker.cli.support.terminal import escape_control
from worker.cli.support.timefmt import moment

_COLOURS = {"COMPLETED": "green", "STUB": "yellow", "FAILED": "red"}
_BRAKE = {
    BrakeState.RELEASED: ("RELEASED", "bold white on green"),
    BrakeState.ENGAGED: ("HALTED", "bold white on red"),
    BrakeState.UNVERIFIED: ("HALTED (unverified)", "bold white on red"),
}


def page(of: Overview) -> RenderableType:
    """Return the screen; it fits 80 by 24 in the usual case."""
    parts: list[RenderableType] = [_brake(of), _dials(of), _fleet(of), _outcomes(of)]
    if of.blockers:
        parts.append(_obstacles(of))
    return Group(*parts)


def unreadable(problem: str) -> RenderableType:
    """Return the screen while Redis does not answer."""
    aside = "workers that cannot reach it either halt by themselves within seconds"
    text = f"HALTED (unverified)\n{problem}\n{aside}"
    return Panel(Text(text, style="bold white on red"))


def _brake(of: Overview) -> RenderableType:
    word, style = _BRAKE[of.controls.brake]
    return Panel(Text.assemble((f" {word} ", style), f"  {escape_control(of.why)}"), padding=(0, 1))


def _dials(of: Overview) -> RenderableType:
    table = Table("dial", "value", "in effect", "set", box=None, padding=(0, 2, 0, 1), header_style="dim")
    for line in of.dials:
        table.add_row(line.dial.name, _value(line), line.effective, _set(line, of.now_wall_ms))
    return table


def _value(line: DialLine) -> Text:
    policy = line.dial is allowlist.DIAL
    # What it enables stands in the next column.
    shown = described(line.value).split(",")[0].replace(" (", ", ") if policy else shown_text(line.value)
    if line.malformed:
        return Text(shown if policy else f"{shown} MALFORMED", style="red")
    return Text(f"{shown} (restricted here)" if line.restricted else shown)


def _set(line: DialLine, now_wall_ms: int) -> str:
    if line.last is None:
        return ""
    who = "by a raw command" if line.last.command == RAW_COMMAND else f"by {escape_control(line.last.actor)}"
    return f"{ago(now_wall_ms - line.last.wall_ms)} {who}"


def _fleet(of: Overview) -> RenderableType:
    oldest = "unknown" if of.oldest_seconds is None else span(of.oldest_seconds)
    lines = [
        f" queue: {of.queue_depth} waiting, the oldest for {oldest}; {of.dead_letters} dead letters"
        if of.queue_depth
        else f" queue: empty; {of.dead_letters} dead letters"
    ]
    lines += [_worker(each) for each in of.workers]
    text = Text("\n".join(lines))
    for each in of.disagreements:
        text.append(f"\n {each}", style="red")
    return text


def _worker(each: WorkerInfo) -> str:
    brake = "released" if each.brake is None else each.brake
    versions = f"v{each.version}/{each.executor_version}"
    return (
        f" worker {each.host}/{each.pid}: {each.in_flight} in flight, {brake}, {each.policy_hash}, {versions}"
    )


def _outcomes(of: Overview) -> RenderableType:
    if not of.outcomes:
        return Text(f" no job has ended in the last {span(of.since_seconds)}")
    table = Table.grid(padding=(0, 2))
    for (status, code), number in of.outcomes:
        table.add_row("  ", Text(status, style=_COLOURS[status]), code, f"{number:>6}")
    return Group(Text(f" last {span(of.since_seconds)}:"), table)


def _obstacles(of: Overview) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for each in of.blockers:
        table.add_row(f"   {each.what}", Text(each.command, style="bold"))
    return Group(Text(" between now and the first generated job:"), table)


def document(of: Overview) -> dict[str, Any]:
    """Return the document of `--json`."""
    return {
        "time": moment(of.now_wall_ms),
        "brake": {"state": of.controls.brake.value, "why": of.why},
        "dials": {line.dial.name: _dial_document(line) for line in of.dials},
        "workers": [
            {
                "workerId": each.worker_id,
                "host": each.host,
                "pid": each.pid,
                "version": each.version,
                "executorVersion": each.executor_version,
                "inFlight": each.in_flight,
                "brake": each.brake,
                "policyHash": each.policy_hash,
                "startedAt": moment(each.started_wall_ms),
                "seenAt": moment(each.seen_wall_ms),
            }
            for each in of.workers
        ],
        "disagreements": of.disagreements,
        "queue": {
            "depth": of.queue_depth,
            "oldestSeconds": of.oldest_seconds,
            "deadLetters": of.dead_letters,
        },
        "outcomes": {
            "sinceSeconds": of.since_seconds,
            "counts": [
                {"status": status, "errorCode": code or None, "jobs": number}
                for (status, code), number in of.outcomes
            ],
        },
        "inTheWay": [{"what": each.what, "command": each.command} for each in of.blockers],
    }


def _dial_document(line: DialLine) -> dict[str, Any]:
    shown = described(line.value) if line.dial is allowlist.DIAL else None
    raw = None if line.value is None else line.value.decode(errors="backslashreplace")
    return {
        "value": shown if line.dial is allowlist.DIAL else raw,
        "effective": line.effective,
        "malformed": line.malformed,
        "restrictedByEnvironment": line.restricted,
        "setBy": line.last.actor if line.last else None,
        "setAt": moment(line.last.wall_ms) if line.last else None,
        "command": line.last.command if line.last else None,
    }
