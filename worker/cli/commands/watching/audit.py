"""`slotgen audit`: every change of a dial, raw Redis commands included."""

from itertools import chain
from typing import Annotated, Any

import typer

from gates.allowlist import DIAL
from tasks.operations.changes.dials import OPERATED, RAW_COMMAND, RecordedChange
from tasks.operations.changes.exposure import named
from tasks.operations.timefmt import moment
from tasks.operations.visible import visible
from worker.adapters.redis.keys import AUDIT
from worker.cli.support.documents import described
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer, fields, shown_text, styled, text_of

_KEPT = AUDIT.kept


def audit(
    *,
    limit: Annotated[
        int,
        typer.Option(min=1, max=_KEPT, help="How many that commands made, and how many that were noticed."),
    ] = 8,
    dial: Annotated[str | None, typer.Option(help="Only this dial, such as rollout_percent.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed which dial, when, from what to what, why, and by which command."""
    names = [each.name for each in OPERATED]
    if dial is not None and dial not in names:
        raise typer.BadParameter(f"there is no dial {dial!r}; name one of {', '.join(names)}")
    with open_session() as session:
        session.dials.read()  # records what raw commands have changed up to now
        found = session.dials.audit_of_each(_KEPT if dial else limit)
    of_each = (
        [each for each in found if each.noticed is noticed and dial in (None, each.dial)][:limit]
        for noticed in (False, True)
    )
    kept = sorted(chain(*of_each), key=lambda each: each.wall_ms, reverse=True)
    lines = [line for each in kept for line in _lines(each)] or ["no change of a dial is recorded"]
    answer([_document(each) for each in kept], lines, as_json=as_json)


def _document(each: RecordedChange) -> dict[str, Any]:
    return fields(
        each, "audit_id", "dial", "actor", "command", "reason", "widened", "noticed", "redis_user"
    ) | {
        "time": moment(each.wall_ms),
        "before": text_of(each.before),
        "after": text_of(each.after),
        "override": each.override or None,
    }


def _lines(each: RecordedChange) -> list[str]:
    shown = described if each.dial == DIAL.name else shown_text
    claimed = each.noticed and each.command != RAW_COMMAND
    command = "" if each.command == RAW_COMMAND else each.command
    why = [
        f"{command} (as a worker or the webhook says)" if claimed else command,
        each.reason if each.reason != each.override else "",
        f"widened: {', '.join(map(named, each.widened))}" if each.widened else "",
        f"OVERRIDE: {each.override}" if each.override else "",
        f"Redis user {each.redis_user}" if each.redis_user not in {"", "default"} else "",
    ]
    change = styled(each.dial, bold=True) + f" {shown(each.before)} -> {shown(each.after)}"
    below = "; ".join(filter(None, why))
    return [f"{moment(each.wall_ms)}  {each.who}  " + change, *([visible(f"    {below}")] if below else [])]
