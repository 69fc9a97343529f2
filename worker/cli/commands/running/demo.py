"""`slotgen demo`: the main job on real input in under a minute, with a live picture."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from celery import Celery
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from worker.cli.support.console import ContentConsole, words
from worker.cli.support.errors import CliError, refuses
from worker.cli.support.options import AsJson
from worker.cli.support.signals import termination_held
from worker.cli.support.terminal import STATUS_COLOURS, print_json, say
from worker.dev.demo.script import Act, Demonstration, DemonstrationStuck
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.stack import NoKey, WorkerDied, stack

_BAR_CELLS = 30
_PAUSE_SECONDS = 2.5


def demo(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Call OpenAI with OPENAI_API_KEY, and pay for it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch real jobs pass the gates, get generated, and get halted by one Redis key.

    Needs no Redis and no key: both are stood in for, on this machine, and cleaned up. A key in the
    environment is never used unless --real is given.
    """
    console = ContentConsole()
    try:
        with (
            refuses(DemonstrationStuck, WorkerDied, before="the demonstration could not go on: "),
            refuses(NoKey, EmbeddedRedisError),
        ):
            demonstration = _play(console, real=real, quiet=as_json)
    except KeyboardInterrupt:
        raise CliError("stopped, and cleaned up") from None
    if as_json:
        print_json({"acts": [_document(act) for act in demonstration.acts]})
        return
    console.print(_summary(demonstration))
    if not real:
        say(_STOOD_IN)
    say(*_NEXT.format(slotgen=_own_name()).split("\n"))


def _own_name() -> str:
    """Return how this command was called, so that what is shown can be typed."""
    called = Path(sys.argv[0])
    if called.name != "slotgen":
        return "slotgen"
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)


def _play(console: ContentConsole, *, real: bool, quiet: bool) -> Demonstration:
    if not quiet:
        console.print("Starting an embedded Redis, a stand-in for OpenAI and a worker …")
    celery = Celery(set_as_current=False)
    demonstration = Demonstration(celery)
    # An interruption in the middle of starting or ending it would leave a folder or a process behind.
    with (
        termination_held() as interruptible,
        stack(real=real, concurrency=24, on_line=demonstration.on_line) as running,
        interruptible(),
    ):
        celery.conf.update(broker_url=running.redis_url, result_backend=running.redis_url)
        if quiet or not console.is_terminal:
            demonstration.play(running)
        else:
            demonstration.pause_seconds = _PAUSE_SECONDS
            with Live(
                get_renderable=lambda: _picture(demonstration.acts),
                console=console,
                refresh_per_second=12,
                transient=True,
            ):
                demonstration.play(running)
    return demonstration


def _picture(acts: list[Act]) -> RenderableType:
    if not acts:
        return "…"
    *before, act = acts
    parts: list[RenderableType] = [
        Text.assemble(words("✓ ", "green"), words(f"{each.title}: "), _counts(each)) for each in before
    ]
    filled = round(_BAR_CELLS * min(act.tally.total / max(act.jobs, 1), 1))
    outcomes = Table.grid(padding=(0, 2))
    for (status, code, path), number in _by_number(act):
        aside = "call was in flight" if code and path == "openai" else ""
        aside = "from the store" if status == "COMPLETED" and path == "stub" else aside
        colour = STATUS_COLOURS[status]
        outcomes.add_row("", words(status, colour), code, f"{number:>4}", words(aside, "dim"))
    return Group(
        *parts,
        "",
        words(f"{len(acts)}. {act.title}", "bold"),
        *(words(f"  redis> {command}", "dim") for command in act.commands),
        Text.assemble(
            "  ",
            words("━" * filled, "cyan"),
            words("━" * (_BAR_CELLS - filled), "dim"),
            f" {act.tally.total}/{act.jobs} jobs",
        ),
        outcomes,
    )


def _counts(act: Act) -> Text:
    counts = ((act.tally.count(status), status) for status in STATUS_COLOURS)
    found = (words(f"{number} {status}", STATUS_COLOURS[status]) for number, status in counts if number)
    return Text(", ").join(found)


def _by_number(act: Act) -> list[tuple[tuple[str, str, str], int]]:
    """Return the outcomes, most frequent first; a copy, for the tally may grow meanwhile."""
    return sorted(dict(act.tally.outcomes).items(), key=lambda each: -each[1])


def _summary(demonstration: Demonstration) -> RenderableType:
    columns = ("", Column("act", ratio=1), Column("jobs", justify="right"))
    counted = (Column(each, justify="right", style=STATUS_COLOURS[each]) for each in ("COMPLETED", "STUB"))
    why_stub = Column("why STUB", no_wrap=True)
    table = Table(*columns, *counted, why_stub, title="What you have just seen", show_lines=True)
    table.title_justify = "left"
    halts = []
    for number, act in enumerate(demonstration.acts, 1):
        completed: RenderableType = f"{act.tally.count('COMPLETED')}"
        if act.tally.cached:
            completed = Group(completed, words(f"{act.tally.cached} cached", "dim"))
        why = (
            Text.assemble(f"{count:>3} {code}", words(" in flight" if path == "openai" else "", "dim"))
            for (_, code, path), count in _by_number(act)
            if code
        )
        table.add_row(
            f"{number}", act.title, f"{act.jobs}", completed, f"{act.tally.count('STUB')}", Group(*why)
        )
        if act.halt_ms is not None:
            halts.append(
                Text.assemble(
                    "From `SET slotgen:kill true` to the last call in flight closed and answered: ",
                    words(f"{act.in_flight_ms:.0f} ms", "bold"),
                    "; to the last STUB of the queue: ",
                    words(f"{act.halt_ms:.0f} ms", "bold"),
                    ".",
                )
            )
    return Group(table, *halts)


def _document(act: Act) -> dict[str, Any]:
    return {
        "title": act.title,
        "commands": act.commands,
        "jobs": act.jobs,
        "seconds": round(act.seconds, 3),
        "cached": act.tally.cached,
        "haltMs": act.halt_ms and round(act.halt_ms, 1),
        "inFlightHaltMs": act.in_flight_ms and round(act.in_flight_ms, 1),
        "outcomes": [
            {"status": status, "errorCode": code or None, "path": path, "jobs": number}
            for (status, code, path), number in sorted(act.tally.outcomes.items())
        ],
    }


_STOOD_IN = "No OpenAI was asked and no money was spent: a stand-in on this machine wrote the content."
_NEXT = """
Try next
  make dev           leave it all running, and play with the dials
  README.md          the dials, every reason for a STUB, running it for real
  {slotgen} --help"""
