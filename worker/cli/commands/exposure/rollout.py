"""`slotgen rollout PERCENT`: the share of the jobs that may pass."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, Reason, apply, shown_text


def percentage(text: str) -> str:
    """Let a percentage pass that the dial would take. Raises typer.BadParameter."""
    from gates.dials import thousandths  # noqa: PLC0415 - heavy imports wait for the command

    if thousandths(text.encode("ascii", "replace")) is None:
        raise typer.BadParameter(f"is {text!r}; set a number from 0 to 100 with at most three decimals")
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
    from tasks.operations.changes.dials import Dial, RecordedChange  # noqa: PLC0415 - heavy imports wait for the command

    def undo(recorded: RecordedChange) -> str:
        from gates.dials import thousandths  # noqa: PLC0415 - heavy imports wait for the command

        before = recorded.before or b"0"
        # A malformed percentage admits nobody, and so does 0.
        return f"slotgen rollout {before.decode() if thousandths(before) is not None else '0'}"

    wish = DialCommand(
        dial=Dial.ROLLOUT_PERCENT,
        after=lambda _: percent.encode(),
        undo=undo,
        shown=shown_text,
        command=f"slotgen rollout {percent}",
        reason=reason,
        actor=actor,
        override=override,
    )
    apply(wish, as_json=as_json)
