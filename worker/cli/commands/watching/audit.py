"""`slotgen audit`: every change of a dial, raw Redis commands included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.commands.exposure.allowlist import described
from worker.cli.support.dial_command import AsJson, shown_text
from worker.cli.support.errors import print_json
from worker.cli.support.operator_session import console
from worker.cli.support.terminal import escape_control
from worker.cli.support.timefmt import moment

if TYPE_CHECKING:
    from tasks.operations.changes.dials import RecordedChange

_KEPT = 10_000


def audit(
    *,
    limit: Annotated[int, typer.Option(min=1, max=_KEPT, help="How many, newest first.")] = 50,
    dial: Annotated[str | None, typer.Option(help="Only this one, such as rollout_percent.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed which dial, when, from what to what, why, and by which command."""
    from tasks.operations.changes.dials import OPERATED  # noqa: PLC0415 - heavy imports wait for the command

    names = [each.name for each in OPERATED]
    if dial is not None and dial not in names:
        raise typer.BadParameter(f"there is no dial {dial!r}; name one of {', '.join(names)}")
    with console() as opened:
        opened.dials.read()  # records what raw commands have changed up to now
        found = opened.dials.audit(_KEPT if dial else limit)
    kept = [each for each in found if dial is None or each.dial == dial][:limit]
    if as_json:
        print_json([_document(each) for each in kept])
    elif kept:
        _print(kept)
    else:
        typer.echo("no change of a dial is recorded")


def _document(each: RecordedChange) -> dict[str, Any]:
    return {
        "auditId": each.audit_id,
        "time": moment(each.wall_ms),
        "dial": each.dial,
        "before": _whole(each.before),
        "after": _whole(each.after),
        "actor": each.actor,
        "command": each.command,
        "reason": each.reason,
        "widened": list(each.widened),
        "override": each.override or None,
    }


def _whole(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")


def _print(found: list[RecordedChange]) -> None:
    for each in found:
        shown = described if each.dial == "allowlist" else shown_text
        change = f"{shown(each.before)} -> {shown(each.after)}"
        dial = typer.style(each.dial, bold=True)
        typer.echo(f"{moment(each.wall_ms)}  {escape_control(each.actor)}  {dial} {change}")
        typer.echo(f"    {escape_control('; '.join(_why(each)))}")


def _why(each: RecordedChange) -> list[str]:
    parts = [each.command, each.reason if each.reason != each.override else ""]
    parts += [f"widened {', '.join(each.widened)}"] if each.widened else []
    parts += [f"OVERRIDE: {each.override}"] if each.override else []
    return [part for part in parts if part]
