"""`slotgen rollout PERCENT`: the share of the jobs that may pass."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, Reason, apply, shown_text


def percentage(text: str) -> str:
    """Let a percentage pass that the dial would take. Raises typer.BadParameter."""
    from gates.rollout import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    if DIAL.parse(text.encode("ascii", "replace")) is None:
        raise typer.BadParameter(f"is {text!r}; {DIAL.remedy}")
    return text


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
    from gates.rollout import DIAL  # noqa: PLC0415 - heavy imports wait for the command
    from tasks.operations.changes.dials import RecordedChange  # noqa: PLC0415

    def undo(recorded: RecordedChange) -> str:
        before = recorded.before or b"0"
        # A malformed percentage admits nobody, and so does 0.
        return f"slotgen rollout {before.decode() if DIAL.parse(before) is not None else '0'}"

    wish = DialCommand(
        dial=DIAL,
        after=lambda _: percent.encode(),
        undo=undo,
        shown=shown_text,
        command=f"slotgen rollout {percent}",
        reason=reason,
        actor=actor,
        override=override,
    )
    apply(wish, as_json=as_json)
