"""What a command prints: one JSON document, or lines.

Nothing from outside reaches a terminal but as visible text.
"""

import json
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any, TextIO

import typer

from tasks.operations.visible import Shown, visible
from worker.cli.support.naming import as_called, command_form

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
STATUS_COLOURS = {"COMPLETED": "green", "STUB": "yellow", "FAILED": "red"}


def styled(text: str, colour: str | None = None, *, bold: bool = False) -> Shown:
    """Return `text`, made visible, in a colour by name."""
    return Shown(typer.style(visible(text), fg=colour, bold=bold or None))


def say(*lines: str, err: bool = False) -> None:
    """Print each of `lines`, at once: a reader at the other end of a pipe may wait for it.

    For a person at a terminal a line that is wider is broken between words; for a pipe each is one line.
    Commands in it are as they are typed here, but not in what is Shown: that may quote others.
    """
    stream = sys.stderr if err else sys.stdout
    width, shown = _width(stream), map(visible, map(_typed, lines))
    text = "\n".join(shown if width is None else (_wrapped(each, width) for each in shown))
    if hasattr(stream, "rich_proxied_file"):
        # A bar stands on the terminal: rich puts a line above it, where click would write across it.
        for each in text.split("\n"):
            stream.write(f"{each}\n")
    else:
        typer.echo(text, err=err)


def _typed(line: str) -> str:
    return line if isinstance(line, Shown) else as_called(line)


def fitted(text: str) -> str:
    """Return as much of `text` as a line of the terminal has room for; the whole where it is none."""
    width = _width(sys.stdout)
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def _width(stream: TextIO) -> int | None:
    """Return how many characters a line of a terminal has, None where `stream` is none."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal():
        return int(columns)
    return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None


def _wrapped(line: str, width: int) -> str:
    """Return `line` in lines of at most `width` characters, each but the first indented by two more."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    lines = [""]
    for part in _unbroken().findall(line):
        if lines[-1].strip() and len(_COLOUR.sub("", lines[-1] + part)) > width:
            lines.append(indent + part.lstrip())
        else:
            lines[-1] += part
    return "\n".join(lines)


@cache
def _unbroken() -> re.Pattern[str]:
    """Return the form of what a line may not be broken in: a command must be whole where it is copied."""
    return re.compile(rf"\s*(?:[^\s`]*`[^`]+`\S*|{command_form()}|\d\S* (?:%|ms|s|min|h|d)\b\S*|\S+)")


def answer(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Print `document` as JSON, or else `lines`."""
    if as_json:
        print_json(document)
    else:
        say(*lines)


def fields(of: object, *names: str) -> dict[str, Any]:
    """Return the attributes `names` of an object for a JSON document, whose names are in camelCase."""
    words = [name.split("_") for name in names]
    keys = (first + "".join(map(str.capitalize, rest)) for first, *rest in words)
    return dict(zip(keys, (getattr(of, name) for name in names), strict=True))


def print_json(document: Any, *, indent: int | None = 2, err: bool = False) -> None:
    """Print `document` as JSON, at once; without `indent` on one line.

    What cannot be seen, or the stream cannot encode, is escaped as JSON does it.
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))
    stream = sys.stderr if err else sys.stdout
    stream.write(escaped(text, stream.encoding or "ascii") + "\n")
    # A command that goes on running has a reader that waits for this.
    stream.flush()


def escaped(document: str, encoding: str) -> str:
    """Return a JSON text that has only visible characters, and only ones that `encoding` knows."""

    def as_json(character: str) -> str:
        return character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]

    if not document.replace("\n", "").isprintable():
        document = "".join(map(as_json, document))
    try:
        document.encode(encoding)
    except UnicodeEncodeError:
        # Outside its strings JSON is ASCII.
        return "".join(each if each.isascii() else json.dumps(each)[1:-1] for each in document)
    return document


def text_of(value: bytes | None) -> str | None:
    """Return a raw value as text, what is no UTF-8 written out."""
    return None if value is None else value.decode(errors="backslashreplace")


def shown_text(value: bytes | None) -> str:
    """Return a dial's raw value for people: quoted, or `absent`."""
    return "absent" if value is None else repr(text_of(value))
