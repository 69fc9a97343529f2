"""Options that several commands have, and who is at the keyboard unless they say so."""

import getpass
import re
import shlex
import socket
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Actor = Annotated[
    str | None, typer.Option(help="Who is doing this; by default, your login name.", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Override = Annotated[
    str,
    typer.Option(
        help="Override the one-dimension rule, for this reason, which is recorded.", metavar="REASON"
    ),
]
Each = Annotated[
    Path | None,
    typer.Option("--each", metavar="FILE", help="On each Redis that FILE names, a line each: NAME URL."),
]
Port = Annotated[int, typer.Option(help="Port to listen on, 0 for any free one.", min=0, max=65535)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})(s|min|m|h|d)")


def named(actor: str | None) -> str:
    """Return `actor`, or `user@host` where none was given."""
    if actor:
        return actor
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def with_each(each: Path | None) -> str:
    """Return the option as a command has to repeat it, with a blank before it."""
    return f" --each {shlex.quote(str(each))}" if each else ""


def duration(text: str) -> str:
    """Let a duration pass that `seconds` can read. Raises typer.BadParameter."""
    if not _DURATION.fullmatch(text):
        raise typer.BadParameter(f"is {text!r}; give a number and a unit, such as 90s, 15m, 24h or 7d")
    return text


def seconds(text: str) -> int:
    """Return the seconds of a duration that `duration` let pass."""
    number, unit = _DURATION.fullmatch(text).groups()  # type: ignore[union-attr]  # `duration` has looked
    return int(number) * _UNITS[unit]
