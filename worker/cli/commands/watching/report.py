"""`slotgen report`: whether the beta is stable, by the runbook's criteria."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from tasks.operations.stability import Report, assess
from tasks.operations.timefmt import moment, span
from worker.adapters.redis.console.drills import RedisDrills
from worker.cli.support.console import ContentConsole, words
from worker.cli.support.errors import CliError
from worker.cli.support.naming import as_called
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson, duration, seconds
from worker.cli.support.terminal import fields, print_json, say, styled
from worker.cli.views.report_page import page

ORDER = 4
_OUTCOMES = 1_000_000
_COLOURS = {"pass": "green", "fail": "red", "unknown": "yellow"}


def report(
    *,
    since: Annotated[str, typer.Option(help="The period to judge.", callback=duration)] = "24h",
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with plots.", metavar="FILE", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the success criteria for "beta stable", each with its figure. Too little data is never a pass.

    A criterion needs at least 60 different jobs over 12 hours; repeated jobs, stored answers and probes do
    not count.

    Exit 0 only if every criterion passes, 1 otherwise.
    """
    with open_session() as session:
        now_wall_ms = session.history.now_ms()
        from_wall_ms = max(0, now_wall_ms - seconds(since) * 1000)
        outcomes = session.history.since(from_wall_ms, _OUTCOMES)
        oldest = session.history.oldest_ms()
        drill = RedisDrills(session.client, session.settings.namespace).last()
    found = assess(outcomes, drill, now_wall_ms)
    covers = _covers(since, oldest, from_wall_ms, now_wall_ms)
    if html is not None:
        try:
            shown = page(
                found,
                outcomes,
                namespace=session.settings.namespace,
                covers=covers,
                from_wall_ms=from_wall_ms,
                to_wall_ms=now_wall_ms,
            )
            html.write_text(shown, "utf-8")
        except OSError as error:
            raise CliError(f"{html}: cannot be written ({error.strerror}); name another file") from None
    if as_json:
        print_json(_document(found, covers, now_wall_ms))
    else:
        _print(found, covers, html)
    if not found.stable:
        raise typer.Exit(1)


def _covers(since: str, oldest_ms: int | None, from_ms: int, now_ms: int) -> str:
    """Return what the figures cover: the history may begin later than was asked for."""
    if oldest_ms is None:
        return f"no outcome is on record; {since} were asked for"
    if oldest_ms <= from_ms:
        return f"the last {since}"
    return f"{span((now_ms - oldest_ms) / 1000)} of the last {since}: the history goes back no further"


def _print(found: Report, covers: str, html: Path | None) -> None:
    # A figure is a sentence: in a column of its own it would be four lines high on a screen of 80.
    table = Table.grid(padding=(0, 2))
    for each in found.criteria:
        table.add_row(words(each.verdict, _COLOURS[each.verdict]), each.name)
        table.add_row("", as_called(each.figure))
    say(f"beta stable? {covers}")
    ContentConsole().print(table)
    say(styled(found.conclusion, "green" if found.stable else "red", bold=True) + f" ({found.counts})")
    say(found.spent)
    if html is not None:
        say(f"page: {html}")


def _document(found: Report, covers: str, now_wall_ms: int) -> dict[str, Any]:
    return fields(
        found, "stable", "conclusion", "outcomes", "jobs", "admitted", "probes", "statuses", "causes"
    ) | {
        "time": moment(now_wall_ms),
        "covers": covers,
        "criteria": [fields(each, "name", "verdict", "figure") for each in found.criteria],
        "errorCodes": found.codes,
        "latencyMs": {name: round(ms, 1) for name, ms in found.percentiles_ms.items()},
        "spentUsdByRule": {rule: spent / 1e9 for rule, spent in found.spent_by_rule.items()},
    }
