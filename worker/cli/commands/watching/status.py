"""`slotgen status`: the kill switch first, then everything else an operator asks."""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer
from rich.live import Live

from tasks.operations.overview import Overview
from worker.adapters.redis.console.overview import read_overview
from worker.cli.support.connection import load_settings
from worker.cli.support.console import ContentConsole
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson, Each, duration, seconds
from worker.cli.support.several import Target, at_once, targets
from worker.cli.support.terminal import print_json
from worker.cli.views.each_page import Found, document_of, page_of
from worker.cli.views.status_page import unreadable
from worker.settings.settings import Settings

ORDER = 1
_OUTCOMES = 50_000


def status(
    every: Annotated[
        float,
        typer.Argument(
            min=0.2, max=3600, help="With --watch: refresh every this many seconds.", metavar="SECONDS"
        ),
    ] = 2.0,
    *,
    since: Annotated[str, typer.Option(help="The period for outcomes.", callback=duration)] = "5m",
    watch: Annotated[bool, typer.Option("--watch", help="Keep it on the screen; Ctrl-C ends.")] = False,
    each: Each = None,
    as_json: AsJson = False,
) -> None:
    """Show the kill switch, the dials, workers, queue and latest outcomes, and what blocks generation.

    With --each: a line for each Redis, and where they differ; exit 1 if one cannot be read.
    """
    look = partial(_look, targets(each, load_settings), seconds(since))
    if not watch:
        found = look()
        if as_json:
            print_json(document_of(found))
        else:
            ContentConsole().print(page_of(found))
        if any(isinstance(one, CliError) for one in found.values()):
            raise typer.Exit(1)
        return
    try:
        _watch(look, every, as_json=as_json)
    except KeyboardInterrupt:
        return


def _watch(look: Callable[[], Found], every_seconds: float, *, as_json: bool) -> None:
    if as_json:
        while True:
            print_json(document_of(look()), indent=None)
            time.sleep(every_seconds)
    with Live(screen=True, auto_refresh=False, console=ContentConsole()) as live:
        while True:
            try:
                live.update(page_of(look()), refresh=True)
            except CliError as refusal:
                # Redis comes back by itself, or not; either way this screen is looked at until it does.
                live.update(unreadable(str(refusal)), refresh=True)
            time.sleep(every_seconds)


def _look(places: list[Target], since_seconds: int) -> Found:
    """Return what is found in each Redis. Raises CliError for the one of the environment."""
    found = {place.name: one for place, one in at_once(places, partial(_overview, since_seconds))}
    if isinstance(alone := found.get(""), CliError):
        raise alone
    return {place.name: found[place.name] for place in places}


def _overview(since_seconds: int, settings: Settings) -> Overview:
    with open_session(settings, warns=False) as session:
        past = partial(session.history.since, limit=_OUTCOMES)
        return read_overview(session.client, session.settings, since_seconds, past)
