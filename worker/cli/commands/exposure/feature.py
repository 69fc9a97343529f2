"""`slotgen feature on|off`: the feature flag."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, Reason, apply, shown_text


class OnOff(StrEnum):
    """The two words."""

    ON = "on"
    OFF = "off"


def feature(
    state: Annotated[OnOff, typer.Argument(help="on or off")],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Switch generation on or off. Off is always allowed; on widens exposure."""
    from gates.feature_flag import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    wish = DialCommand(
        dial=DIAL,
        after=lambda _: b"true" if state is OnOff.ON else b"false",
        undo=lambda recorded: f"slotgen feature {'on' if recorded.before == b'true' else 'off'}",
        shown=shown_text,
        command=f"slotgen feature {state}",
        reason=reason,
        actor=actor,
        override=override,
    )
    apply(wish, as_json=as_json)
