"""What a command prints: one JSON document, or lines that a terminal can be shown."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import typer

STATUS_COLOURS = {"COMPLETED": "green", "STUB": "yellow", "FAILED": "red"}


def answer(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Print `document` as JSON, or else `lines`."""
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(lines))


def fields(of: object, *names: str) -> dict[str, Any]:
    """Return the attributes `names` of an object for a JSON document, whose names are in camelCase."""
    words = [name.split("_") for name in names]
    keys = (first + "".join(map(str.capitalize, rest)) for first, *rest in words)
    return dict(zip(keys, (getattr(of, name) for name in names), strict=True))


def print_json(value: Any) -> None:
    """Print `value` as one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    # A command that goes on running has a reader that waits for this.
    sys.stdout.flush()


def escape_control(text: str) -> str:
    """Return `text` with its control characters written out."""
    # A producer's name for a job must not move the cursor of an operator's terminal.
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def text_of(value: bytes | None) -> str | None:
    """Return a raw value as text, what is no UTF-8 written out."""
    return None if value is None else value.decode(errors="backslashreplace")


def shown_text(value: bytes | None) -> str:
    """Return a dial's raw value for people: quoted, or `absent`."""
    return "absent" if value is None else repr(text_of(value))
