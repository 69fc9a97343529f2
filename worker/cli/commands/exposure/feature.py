"""`slotgen feature on|off`: the feature flag."""

from typing import Annotated, Literal

import typer

from gates.feature_flag import DIAL
from worker.cli.support.dial_command import By, apply
from worker.cli.support.options import Actor, AsJson, Override, Reason


def feature(
    state: Annotated[Literal["on", "off"], typer.Argument(help="on or off", metavar="on|off")],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Switch generation on or off. Off is always allowed; on widens exposure."""
    apply(
        DIAL,
        lambda _: b"true" if state == "on" else b"false",
        By(f"slotgen feature {state}", actor, reason, override),
        undo=lambda recorded: f"slotgen feature {'on' if recorded.before == b'true' else 'off'}",
        as_json=as_json,
    )
