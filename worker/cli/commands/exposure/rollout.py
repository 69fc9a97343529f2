"""`slotgen rollout PERCENT`: the share of jobs that may be generated."""

from typing import Annotated

import typer

from gates.rollout import DIAL
from tasks.operations.changes.dials import RecordedChange
from worker.cli.support.dial_command import By, apply, percentage
from worker.cli.support.options import Actor, AsJson, Override, Reason


def rollout(
    percent: Annotated[
        str, typer.Argument(help="0 to 100, at most three decimals.", metavar="PERCENT", callback=percentage)
    ],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Set the percentage of jobs that may be generated. Lower is always allowed; higher widens exposure."""
    apply(
        DIAL,
        lambda _: percent.encode(),
        By(f"slotgen rollout {percent}", actor, reason, override),
        undo=_undo,
        as_json=as_json,
    )


def _undo(recorded: RecordedChange) -> str:
    before = recorded.before or b"0"
    # A malformed percentage admits no job, and neither does 0.
    return f"slotgen rollout {before.decode() if DIAL.parse(before) is not None else '0'}"
