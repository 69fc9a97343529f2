"""`slotgen status`: the brake first, then everything else an operator asks."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.support.dial_command import AsJson
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console
from worker.cli.support.timefmt import duration, seconds

if TYPE_CHECKING:
    from tasks.operations.overview import Overview

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
    """Show the brake, the dials, the workers, the queue, the latest outcomes, and what is in the way."""
    if watch is None:
        _show(_look(since), as_json=as_json)
        return
    try:
        _watch(since, watch, as_json=as_json)
    except KeyboardInterrupt:
        return


def _show(found: Overview, *, as_json: bool) -> None:
    from worker.cli.views.status_page import document, page  # noqa: PLC0415 - heavy imports wait for the command

    if as_json:
        print_json(document(found))
    else:
        from rich.console import Console  # noqa: PLC0415 - heavy imports wait for the command

        Console(markup=False).print(page(found))


def _watch(since: str, every_seconds: float, *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait for the command
    from rich.live import Live  # noqa: PLC0415

    from worker.cli.views.status_page import document, page, unreadable  # noqa: PLC0415

    if as_json:
        while True:
            sys.stdout.write(json.dumps(document(_look(since))) + "\n")
            sys.stdout.flush()
            time.sleep(every_seconds)
    with Live(screen=True, auto_refresh=False, console=Console(markup=False)) as live:
        while True:
            try:
                live.update(page(_look(since)), refresh=True)
            except CliError as refusal:
                # Redis comes back by itself, or not; either way this screen is looked at until it does.
                live.update(unreadable(str(refusal)), refresh=True)
            time.sleep(every_seconds)


def _look(since: str) -> Overview:
    from tasks.operations.overview import Overview  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.console.dead_letters import RedisDeadLetters  # noqa: PLC0415

    since_seconds = seconds(since)
    with console() as opened:
        now_wall_ms = opened.history.now_ms()
        return Overview(
            values=opened.dials.read(),
            ceilings=opened.settings.ceilings,
            audit=opened.dials.audit(_AUDIT),
            workers=opened.fleet.workers(),
            past=opened.history.since(now_wall_ms - since_seconds * 1000, _OUTCOMES),
            queue_depth=opened.fleet.queue_depth(),
            oldest_seconds=opened.fleet.queue_oldest_seconds(),
            dead_letters=RedisDeadLetters(opened.client, opened.settings.namespace).count(),
            now_wall_ms=now_wall_ms,
            since_seconds=since_seconds,
        )
