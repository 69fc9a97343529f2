"""Reads job specs from JSON and JSON Lines files, folders and standard input, a bounded part at a time."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STDIN = "-"
# A document that is no JSON Lines is read as a whole, up to here; so is one line.
MAX_DOCUMENT_BYTES = 16_777_216
_LINES = (".jsonl", ".ndjson")
_SUFFIXES = (*_LINES, ".json")


class BadSource(Exception):  # noqa: N818 - says what is the matter
    """An input cannot be read; the text names it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One spec as it was found: `number` is its line, or its place in an array, from 1."""

    source: str
    number: int
    text: bytes

    def __str__(self) -> str:
        return f"{self.source}:{self.number}"


def files(inputs: Sequence[str]) -> list[str]:
    """Return the files that `inputs` name, folders replaced by what they hold, sorted; `-` stays as it is.

    Raises:
        BadSource: an input is not there, or a folder holds no spec.

    """
    return [found for each in inputs for found in _files(each)]


def _files(given: str) -> list[str]:
    path = Path(given)
    if given == STDIN or path.is_file() or path.is_fifo():
        return [given]
    if not path.is_dir():
        raise BadSource(f"{given}: is not there; name a file, a folder, or - for standard input")
    found = sorted(str(each) for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
    if not found:
        raise BadSource(f"{given}: holds no {', '.join(_SUFFIXES)} file")
    return found


def items(sources: Sequence[str]) -> Iterator[Item]:
    """Yield every spec of `sources` (from `files`), in order. Raises BadSource."""
    for source in sources:
        with _opened(source) as stream:
            for number, text in _texts(source, stream):
                yield Item(source, number, text)


def count(sources: Sequence[str]) -> int | None:
    """Return how many items there are; None when one of `sources` can be read only once. Raises BadSource."""
    if any(each == STDIN or not Path(each).is_file() for each in sources):
        return None
    return sum(1 for _ in items(sources))


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == STDIN:
        yield sys.stdin.buffer
        return
    try:
        with Path(source).open("rb") as stream:
            yield stream
    except OSError as error:
        raise BadSource(f"{source}: cannot be read ({error.strerror}); nothing after it was sent") from None


def _texts(source: str, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    lines = _lines(stream)
    if source.endswith(_LINES):
        yield from lines
        return
    first = next(lines, None)
    if first is None:
        return
    if _is_object(first[1]):
        yield first
        yield from lines
        return
    yield from _whole(first, lines)


def _whole(first: tuple[int, bytes], lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield what did not begin like JSON Lines: one spec, an array of them, or lines after all."""
    held, size = [first], len(first[1])
    while size <= MAX_DOCUMENT_BYTES and (line := next(lines, None)):
        held.append(line)
        size += len(line[1])
    text = b"\n".join(line for _, line in held)
    if size <= MAX_DOCUMENT_BYTES and (array := _array(text)):
        yield from array
    elif size <= MAX_DOCUMENT_BYTES and not any(_is_object(line) for _, line in held):
        yield held[0][0], text
    else:
        yield from held
        yield from lines


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := stream.readline(MAX_DOCUMENT_BYTES + 1):
        number += 1
        # The rest of a line that is too long is dropped; what is kept of it is too large to be sent.
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_DOCUMENT_BYTES:
            rest = stream.readline(MAX_DOCUMENT_BYTES + 1)
        # Windows likes to begin a file with a mark.
        if text := (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
            yield number, text


def _is_object(line: bytes) -> bool:
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _array(text: bytes) -> list[tuple[int, bytes]]:
    if not text.startswith(b"["):
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [(number, json.dumps(each).encode()) for number, each in enumerate(found, 1)]
