"""`slotgen status`: the kill switch first, then everything else an operator asks."""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

import redis
import typer
from redis.exceptions import ResponseError
from rich.live import Live

from tasks.errors import StoreUnavailable
from tasks.operations.overview import Blocker, Overview
from worker.adapters.redis.console.cooldowns import cooldowns
from worker.adapters.redis.errors import Cause, RedisUnavailable
from worker.adapters.redis.wrong_keys import at_hand, glance
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
_AUDIT = 1_000
_DEAD = 100
# Of the wrong keys of single jobs; `slotgen repair` has them all.
_NAMED = 3
T = TypeVar("T")


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
        now_wall_ms = session.history.now_ms()
        since_ms = now_wall_ms - since_seconds * 1000
        return Overview(
            values=session.dials.read(),
            ceilings=session.settings.ceilings,
            audit=_read(lambda: session.dials.audit(_AUDIT), []),
            workers=_read(session.fleet.workers, []),
            past=_read(lambda: session.history.since(since_ms, _OUTCOMES), []),
            queue_depth=_read(session.fleet.queue_depth, None),
            oldest_seconds=_read(session.fleet.queue_oldest_seconds, None),
            strays=_read(session.fleet.strays, []),
            queue=session.settings.namespace,
            dead_letters=_read(session.dead_letters.count, None),
            dead_reasons=_read(
                lambda: Counter(each.reason for each in session.dead_letters.list(_DEAD)), Counter[str]()
            ),
            dead_letters_filled=_read(session.dead_letters.filled, 0.0),
            wrong_keys=_wrong_keys(session.client, session.settings.namespace),
            now_wall_ms=now_wall_ms,
            since_seconds=since_seconds,
            cooldowns=cooldowns(
                session.client, session.settings.namespace, session.settings.longest_cooldown_seconds
            ),
        )


def _wrong_keys(client: redis.Redis, namespace: str) -> list[Blocker]:
    """Return those first that concern the whole fleet, and of those of one job each no more than fit."""
    fleets = at_hand(client, namespace)
    jobs = [each for each in glance(client, namespace) if each not in fleets]
    lines = [Blocker(f"{each.key} {each.what}", each.remedy) for each in fleets + jobs[:_NAMED]]
    if more := len(jobs[_NAMED:]):
        lines.append(Blocker(f"{more} keys more hold what does not belong there", "slotgen repair"))
    return lines


def _read(read: Callable[[], T], unknown: T) -> T:
    """Return what `read` does, or `unknown` where a key of another type is in the way of it alone."""
    try:
        return read()
    except (StoreUnavailable, ResponseError) as error:
        if isinstance(error, RedisUnavailable) and error.cause is not Cause.WRONG_TYPE:
            raise
        return unknown
