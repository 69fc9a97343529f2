"""`slotgen report`: whether the beta is stable, by the runbook's criteria."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.dial_command import AsJson
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console
from worker.cli.support.timefmt import duration, moment, seconds

if TYPE_CHECKING:
    from tasks.operations.history import PastOutcome
    from tasks.operations.stability import Report

ORDER = 4

_OUTCOMES = 1_000_000
_COLOURS = {"pass": "green", "fail": "red", "unknown": "yellow"}


def report(
    *,
    since: Annotated[str, typer.Option(help="Over this long.", callback=duration)] = "24h",
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with plots.", metavar="FILE", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the success criteria for "beta stable", each with its figure. No data is unknown, never a pass.

    Exit 0 only when every criterion passes, 1 otherwise.
    """
    from tasks.operations.stability import Thresholds, judge  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.console.drills import RedisDrills  # noqa: PLC0415

    with console() as opened:
        now_wall_ms = opened.history.now_ms()
        from_wall_ms = max(0, now_wall_ms - seconds(since) * 1000)
        outcomes = opened.history.since(from_wall_ms, _OUTCOMES)
        oldest = opened.history.oldest_ms()
        drill = RedisDrills(opened.client, opened.settings.namespace).last()
    found = judge(outcomes, drill, Thresholds(), now_wall_ms)
    covers = _covers(since, oldest, from_wall_ms, now_wall_ms)
    if html is not None:
        _write(html, found, outcomes, covers, now_wall_ms)
    if as_json:
        print_json(_document(found, covers, now_wall_ms))
    else:
        _print(found, covers, html)
    if not found.stable:
        raise typer.Exit(1)


def _covers(since: str, oldest_ms: int | None, from_ms: int, now_ms: int) -> str:
    """Return what the figures cover: the history may begin later than was asked for."""
    from tasks.operations.timefmt import span  # noqa: PLC0415 - heavy imports wait for the command

    if oldest_ms is None:
        return f"no outcome is on record; {since} were asked for"
    if oldest_ms <= from_ms:
        return f"the last {since}"
    return f"{span((now_ms - oldest_ms) / 1000)} of the last {since}, for the history begins then"


def _print(found: Report, covers: str, html: Path | None) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait for the command
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("criterion", "verdict", "figure", title=f"beta stable? {covers}", title_justify="left")
    for each in found.criteria:
        table.add_row(each.name, f"[{_COLOURS[each.verdict]}]{each.verdict}[/]", escape(each.figure))
    screen = Console()
    screen.print(table)
    word = "[bold green]stable[/]" if found.stable else "[bold red]not stable, or not known to be[/]"
    screen.print(f"{word}: {found.jobs} jobs ended, {found.admitted} of them had passed the gates")
    if html is not None:
        screen.print(f"page: {html}", markup=False, highlight=False)


def _write(path: Path, found: Report, outcomes: list[PastOutcome], covers: str, now_wall_ms: int) -> None:
    from worker.cli.views.report_page import page  # noqa: PLC0415 - heavy imports wait for the command

    try:
        path.write_text(page(found, outcomes, covers, moment(now_wall_ms)), "utf-8")
    except OSError as error:
        raise CliError(f"{path}: cannot be written ({error.strerror}); name another file") from None


def _document(found: Report, covers: str, now_wall_ms: int) -> dict[str, Any]:
    return {
        "time": moment(now_wall_ms),
        "covers": covers,
        "stable": found.stable,
        "criteria": [
            {"name": each.name, "verdict": each.verdict.value, "figure": each.figure}
            for each in found.criteria
        ],
        "jobs": found.jobs,
        "admitted": found.admitted,
        "statuses": found.statuses,
        "errorCodes": found.codes,
        "causes": found.causes,
        "latencyMs": {name: round(ms, 1) for name, ms in found.percentiles_ms.items()},
    }
