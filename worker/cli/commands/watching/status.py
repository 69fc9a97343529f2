"""`slotgen status`: the kill switch first, then everything else an operator asks."""

import time
from typing import Annotated

import typer
from rich.live import Live

from tasks.operations.overview import Overview
from worker.cli.support.console import ContentConsole
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson, duration, seconds
from worker.cli.support.terminal import print_json
from worker.cli.views.status_page import document, page, unreadable

ORDER = 1
_OUTCOMES = 50_000
_AUDIT = 1_000


def status(
    *,
    since: Annotated[str, typer.Option(help="Outcomes of this long.", callback=duration)] = "5m",
    watch: Annotated[
        float | None,
        typer.Option(min=0.2, max=3600, help="Keep it on the screen, renewed every so many seconds."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the kill switch, the dials, workers, queue and latest outcomes, and what is in the way."""
    since_seconds = seconds(since)
    if watch is None:
        found = _overview(since_seconds)
        if as_json:
            print_json(document(found))
        else:
            ContentConsole().print(page(found))
        return
    try:
        _watch(since_seconds, watch, as_json=as_json)
    except KeyboardInterrupt:
        return


def _watch(since_seconds: int, every_seconds: float, *, as_json: bool) -> None:
    if as_json:
        while True:
            print_json(document(_overview(since_seconds)), indent=None)
            time.sleep(every_seconds)
    with Live(screen=True, auto_refresh=False, console=ContentConsole()) as live:
        while True:
            try:
                live.update(page(_overview(since_seconds)), refresh=True)
            except CliError as refusal:
                # Redis comes back by itself, or not; either way this screen is looked at until it does.
                live.update(unreadable(str(refusal)), refresh=True)
            time.sleep(every_seconds)


def _overview(since_seconds: int) -> Overview:
    with open_session() as session:
        now_wall_ms = session.history.now_ms()
        return Overview(
            values=session.dials.read(),
            ceilings=session.settings.ceilings,
            audit=session.dials.audit(_AUDIT),
            workers=session.fleet.workers(),
            past=session.history.since(now_wall_ms - since_seconds * 1000, _OUTCOMES),
            queue_depth=session.fleet.queue_depth(),
            oldest_seconds=session.fleet.queue_oldest_seconds(),
            strays=session.fleet.strays(),
            queue=session.settings.namespace,
            dead_letters=session.dead_letters.count(),
            dead_letters_filled=session.dead_letters.filled(),
            now_wall_ms=now_wall_ms,
            since_seconds=since_seconds,
        )
