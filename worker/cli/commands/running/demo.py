"""`slotgen demo`: the main job on real input in under a minute, with a live picture."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.errors import CliError, print_json
from worker.cli.support.signals import termination_held

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from worker.dev.demo.script import Act, Demonstration

_STYLES = {"COMPLETED": "green", "STUB": "yellow", "FAILED": "red"}
_BAR_CELLS = 30
_PAUSE_SECONDS = 2.5


def demo(
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Call OpenAI with OPENAI_API_KEY, and pay for it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Watch real jobs pass the gates, get generated, and get halted by one Redis key.

    Needs no Redis and no key: both are stood in for, on this machine, and cleaned up. A key in the
    environment is never used unless --real is given.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait for the command

    from worker.dev.demo.script import DemonstrationStuck  # noqa: PLC0415
    from worker.dev.redis_server.binary import EmbeddedRedisError  # noqa: PLC0415
    from worker.dev.stack import NoKey, WorkerDied  # noqa: PLC0415

    console = Console()
    try:
        demonstration = _play(console, real=real, quiet=as_json)
    except (DemonstrationStuck, WorkerDied) as error:
        raise CliError(f"the demonstration could not go on: {error}") from None
    except (NoKey, EmbeddedRedisError) as error:
        raise CliError(str(error)) from None
    except KeyboardInterrupt:
        raise CliError("stopped, and cleaned up") from None
    if as_json:
        print_json({"acts": [_document(act) for act in demonstration.acts]})
        return
    console.print(_summary(demonstration))
    if not real:
        console.print(_STOOD_IN)
    console.print(_NEXT.format(slotgen=_own_name()))


def _own_name() -> str:
    """Return how this command was called, so that what is shown can be typed."""
    called = Path(sys.argv[0])
    if called.name != "slotgen" or not called.is_absolute():
        return str(called) if called.name == "slotgen" else "slotgen"
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def _play(console: Console, *, real: bool, quiet: bool) -> Demonstration:
    from celery import Celery  # noqa: PLC0415 - heavy imports wait for the command

    from worker.dev.demo.script import Demonstration  # noqa: PLC0415
    from worker.dev.stack import stack  # noqa: PLC0415

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
        if quiet:
            demonstration.play(running)
        else:
            _play_with_picture(console, demonstration, running)
    return demonstration


def _play_with_picture(console: Console, demonstration: Demonstration, running: Any) -> None:
    from rich.live import Live  # noqa: PLC0415 - heavy imports wait for the command

    if not console.is_terminal:
        demonstration.play(running)
        return
    demonstration.pause_seconds = _PAUSE_SECONDS
    with Live(console=console, refresh_per_second=12, transient=True) as live:
        playing = threading.Event()
        painter = threading.Thread(target=_paint, args=(live, demonstration, playing), daemon=True)
        painter.start()
        try:
            demonstration.play(running)
        finally:
            playing.set()
            painter.join()


def _paint(live: Any, demonstration: Demonstration, ended: threading.Event) -> None:
    while not ended.wait(1 / 12):
        live.update(_picture(demonstration.acts))
    live.update("")


def _picture(acts: list[Act]) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - heavy imports wait for the command

    if not acts:
        return "…"
    done = [_line(act) for act in acts[:-1]]
    return Group(*done, *_stage(acts[-1], len(acts)))


def _line(act: Act) -> str:
    return f"[green]✓[/] {act.title}: {_words(act)}"


def _stage(act: Act, number: int) -> list[RenderableType]:
    filled = round(_BAR_CELLS * min(act.tally.total / max(act.jobs, 1), 1))
    bar = f"[cyan]{'━' * filled}[/][dim]{'━' * (_BAR_CELLS - filled)}[/] {act.tally.total}/{act.jobs} jobs"
    commands = [f"  [dim]redis> {command}[/]" for command in act.commands]
    return [f"\n[bold]{number}. {act.title}[/]", *commands, f"  {bar}", _outcomes(act)]


def _outcomes(act: Act) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - heavy imports wait for the command

    table = Table.grid(padding=(0, 2))
    for (status, code, path), number in _by_number(act):
        aside = "call was in flight" if code and path == "openai" else ""
        aside = "from the store" if status == "COMPLETED" and path == "stub" else aside
        table.add_row("", f"[{_STYLES[status]}]{status}[/]", code, f"{number:>4}", f"[dim]{aside}[/]")
    return table


def _by_number(act: Act) -> list[tuple[tuple[str, str, str], int]]:
    """Return the outcomes, most frequent first; a copy, for the tally may grow meanwhile."""
    return sorted(dict(act.tally.outcomes).items(), key=lambda each: -each[1])


def _words(act: Act) -> str:
    parts = [
        f"[{_STYLES[status]}]{act.tally.count(status)} {status}[/]"
        for status in _STYLES
        if act.tally.count(status)
    ]
    return ", ".join(parts)


def _summary(demonstration: Demonstration) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - heavy imports wait for the command
    from rich.table import Table  # noqa: PLC0415

    table = Table(title="What you have just seen", title_justify="left", show_lines=True)
    table.add_column("")
    table.add_column("act", ratio=1)
    table.add_column("jobs", justify="right")
    table.add_column("COMPLETED", justify="right", style=_STYLES["COMPLETED"])
    table.add_column("STUB", justify="right", style=_STYLES["STUB"])
    table.add_column("why STUB", no_wrap=True)
    for number, act in enumerate(demonstration.acts, 1):
        stubs = str(act.tally.count("STUB"))
        table.add_row(str(number), act.title, str(act.jobs), _completed(act), stubs, _why(act))
    return Group(table, *(_halt_line(act) for act in demonstration.acts if act.halt_ms is not None))


def _completed(act: Act) -> str:
    number = str(act.tally.count("COMPLETED"))
    return f"{number}\n[dim]{act.tally.cached} cached[/]" if act.tally.cached else number


def _why(act: Act) -> str:
    return "\n".join(
        f"{number:>3} {code}{' [dim]in flight[/]' if path == 'openai' else ''}"
        for (_, code, path), number in _by_number(act)
        if code
    )


def _halt_line(act: Act) -> str:
    return (
        f"From `SET slotgen:kill true` to the last call in flight closed and answered: "
        f"[bold]{act.in_flight_ms:.0f} ms[/]; to the last STUB of the queue: [bold]{act.halt_ms:.0f} ms[/]."
    )


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
