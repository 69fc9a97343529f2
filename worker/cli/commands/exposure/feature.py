"""`slotgen feature on|off`: the feature flag."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, Override, Reason, Wish, carry_out, shown_text


class Switch(StrEnum):
    """The two words."""

    ON = "on"
    OFF = "off"


def feature(
    state: Annotated[Switch, typer.Argument(help="on or off")],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Switch generation on or off. Off is always allowed; on widens exposure."""
    from tasks.operations.changes.dials import Dial  # noqa: PLC0415 - heavy imports wait for the command

    wish = Wish(
        dial=Dial.FEATURE,
        after=lambda _: b"true" if state is Switch.ON else b"false",
        undo=lambda recorded: f"slotgen feature {'on' if recorded.before == b'true' else 'off'}",
        shown=shown_text,
        command=f"slotgen feature {state}",
        reason=reason,
        actor=actor,
        override=override,
    )
    carry_out(wish, as_json=as_json)
