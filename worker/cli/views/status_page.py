"""How `slotgen status` looks, on a screen and as a document."""

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from gates import BrakeState, allowlist
from tasks.operations.fleet import WorkerInfo
from tasks.operations.overview import Blocker, DialLine, Overview
from tasks.operations.timefmt import ago, counted, moment, span
from worker.cli.support.console import words
from worker.cli.support.documents import described
from worker.cli.support.naming import as_called
from worker.cli.support.terminal import STATUS_COLOURS, fields, shown_text, text_of

STATES = {
    BrakeState.RELEASED: ("RELEASED", "bold white on green"),
    BrakeState.ENGAGED: ("HALTED", "bold white on red"),
    BrakeState.UNVERIFIED: ("HALTED (unverified)", "bold white on red"),
}
_BRAKES = {"": "released", "KILL_SWITCH": "halted", "KILL_UNVERIFIED": "halted (unverified)"}
_NEARLY_FULL = 0.8
_BESIDE = 74
_WORKERS = 6


def page(of: Overview) -> RenderableType:
    """Return the screen; it fits 80 by 24 in the usual case."""
    word, style = STATES[of.state]
    state = Text.assemble((f" {word} ", style), "  ", words(of.why))
    parts: list[RenderableType] = [Panel(state, padding=(0, 1)), _dials(of), _fleet(of), _outcomes(of)]
    if of.blockers:
        parts.append(words(" between now and the first generated job:"))
        parts += [Padding(_blocker(each), (0, 0, 0, 3)) for each in of.blockers]
    return Group(*parts)


def _blocker(each: Blocker) -> RenderableType:
    command = words(as_called(each.command), "bold")
    if len(each.what) + len(command) <= _BESIDE:
        return Text.assemble(words(f"{each.what}; "), command)
    # On a line of its own it can be copied whole.
    return Group(words(f"{each.what}:"), Padding(command, (0, 0, 0, 2)))


def unreadable(problem: str) -> RenderableType:
    """Return the screen while Redis does not answer."""
    aside = "workers that cannot reach it either halt by themselves within seconds"
    lines = [
        words(each, "bold white on red") for each in ("HALTED (unverified)", *problem.split("\n"), aside)
    ]
    return Panel(Group(*lines))


def _dials(of: Overview) -> RenderableType:
    effect = Column("in effect", no_wrap=True)
    table = Table("dial", "value", effect, "set", box=None, padding=(0, 1), header_style="dim")
    for line in of.dials:
        last, when = line.last, ""
        if last is not None:
            when = f"{ago(of.now_wall_ms - last.wall_ms)} by {last.who}"
        table.add_row(line.dial.name, _value(line), line.effective, when)
    return table


def _value(line: DialLine) -> Text:
    policy = line.dial is allowlist.DIAL
    # What it enables stands in the next column.
    shown = described(line.value).split(" (")[0] if policy else shown_text(line.value)
    if line.malformed:
        return words(shown if policy else f"{shown} MALFORMED", "red")
    return words(f"{shown} (restricted here)" if line.restricted else shown)


def _fleet(of: Overview) -> RenderableType:
    oldest = "" if of.oldest_seconds is None else f", the oldest for {span(of.oldest_seconds)}"
    waiting = f"{counted(of.queue_depth, 'message')} waiting{oldest}" if of.queue_depth else "empty"
    if of.queue_depth is None:
        waiting = "cannot be read"
    first = [words(f" {each.what}: {as_called(each.command)}", "bold red") for each in of.wrong_keys]
    first += [words(f" {each.silence}", "bold red") for each in of.workers if each.silence]
    dead = "no dead letters" if of.dead_letters == 0 else counted(of.dead_letters or 0, "dead letter")
    if of.dead_letters is None:
        dead = "dead letters cannot be read"
    newest = sum(of.dead_reasons.values())
    among = f"; of the newest {newest}" if newest < (of.dead_letters or 0) else ""
    reasons = ", ".join(f"{number} {reason}" for reason, number in of.dead_reasons.items())
    lines = [words(f" queue: {waiting}; {dead}{among}{f': {reasons}' if reasons else ''}")]
    if of.dead_letters_filled >= _NEARLY_FULL:
        filled = f"the store of dead letters is {of.dead_letters_filled:.0%} full, and will drop the oldest"
        lines.append(words(f" {filled}: {as_called('slotgen dead list')}", "red"))
    lines += [words(f" {each}", "red") for each in of.disagreements + of.model_problems]
    return Group(*first, _workers(of.living), *lines)


def _workers(living: list[WorkerInfo]) -> RenderableType:
    columns = ("worker", "in flight", "state", "policy", "version", "config")
    table = Table(*columns, box=None, padding=(0, 1), header_style="dim")
    for each in living[:_WORKERS]:
        state = _BRAKES.get(each.brake or "", each.brake)
        calls, versions = counted(each.in_flight, "call"), (each.version, each.executor_version)
        table.add_row(each.name, calls, state, each.policy_hash or "none seen", *versions)
    if more := living[_WORKERS:]:
        table.add_row(f"and {len(more)} more", counted(sum(each.in_flight for each in more), "call"))
    return table if living else Group()


def _outcomes(of: Overview) -> RenderableType:
    if not of.real:
        probes = f", only {counted(len(of.past), 'probe')}" if of.past else ""
        return words(f" no job has ended in the last {span(of.since_seconds)}{probes}")
    table = Table.grid(padding=(0, 2))
    for (status, code), number in of.outcomes:
        table.add_row("  ", words(status, STATUS_COLOURS.get(status, "")), code, f"{number:>6}")
    return Group(words(f" last {span(of.since_seconds)}: {of.counts}"), table)


def document(of: Overview) -> dict[str, Any]:
    """Return the document of `--json`."""
    return {
        "time": moment(of.now_wall_ms),
        "brake": {"state": of.state.value, "why": of.why},
        "haltedByMessage": len(of.latched),
        "dials": {line.dial.name: _dial_document(line) for line in of.dials},
        "workers": [
            fields(each, "worker_id", "host", "pid", "version", "executor_version")
            | _said(each)
            | {"model": _model_document(each)}
            | {"startedAt": moment(each.started_wall_ms), "seenAt": moment(each.seen_wall_ms)}
            for each in of.workers
        ],
        "disagreements": of.disagreements,
        "modelProblems": of.model_problems,
        "queue": {
            "depth": of.queue_depth,
            "oldestSeconds": of.oldest_seconds,
            "deadLetters": of.dead_letters,
            "deadLetterReasons": dict(of.dead_reasons),
            "strays": [fields(each, "name", "messages", "shared") for each in of.strays],
            "deadLettersFilled": round(of.dead_letters_filled, 3),
        },
        "outcomes": {
            "sinceSeconds": of.since_seconds,
            "counts": [
                {"status": status, "errorCode": code or None, "jobs": number}
                for (status, code), number in of.outcomes
            ],
            "distinctJobs": len({each.subject.job_id for each in of.real}),
            "probes": len(of.past) - len(of.real),
        },
        "wrongKeys": [fields(each, "what", "command") for each in of.wrong_keys],
        "inTheWay": [fields(each, "what", "command") for each in of.blockers],
    }


def _model_document(worker: WorkerInfo) -> dict[str, Any]:
    listing = worker.listing
    return fields(listing, "model", "listed") | {
        "shutdownDate": listing.shutdown_date or None,
        "unknown": listing.unknown or None,
    }


def _said(worker: WorkerInfo) -> dict[str, Any]:
    """Return what a worker says of itself; of one that is silent, nothing that may have changed."""
    said = fields(worker, "in_flight", "brake", "policy_hash", "latched", "silent_seconds")
    return said if worker.silent_seconds is None else said | {"inFlight": None, "brake": "unknown"}


def _dial_document(line: DialLine) -> dict[str, Any]:
    last = line.last
    return fields(line, "effective", "malformed") | {
        "value": described(line.value) if line.dial is allowlist.DIAL else text_of(line.value),
        "restrictedByEnvironment": line.restricted,
        "setBy": last.actor if last else None,
        "setAt": moment(last.wall_ms) if last else None,
        "command": last.command if last else None,
    }
