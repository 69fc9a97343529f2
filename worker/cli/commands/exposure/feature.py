"""`slotgen feature on|off`: the feature flag."""

from enum import StrEnum
from typing import Annotated

import typer

from gates.feature_flag import DIAL
from worker.cli.support.dial_command import By, apply
from worker.cli.support.options import Actor, AsJson, Override, Reason


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
    apply(
        DIAL,
        lambda _: b"true" if state is OnOff.ON else b"false",
        By(f"slotgen feature {state}", actor, reason, override),
        undo=lambda recorded: f"slotgen feature {'on' if recorded.before == b'true' else 'off'}",
        as_json=as_json,
    )
