"""Who is at the keyboard, unless they say so."""

from __future__ import annotations

import getpass
import socket
from typing import Annotated

import typer

Actor = Annotated[
    str | None, typer.Option(help="Who does this; by default the name of this login.", show_default=False)
]


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
