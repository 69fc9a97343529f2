"""Reads job specs from JSON and JSON Lines files, folders and standard input, in bounded parts."""

import codecs
import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from schemas import UnacceptableJson, parse_json

STDIN = "-"
# A document that is not JSON Lines is read whole, up to this size; so is a single line.
MAX_DOCUMENT_BYTES = 16_777_216
_LINES = (".jsonl", ".ndjson")
_SUFFIXES = (*_LINES, ".json")


class BadSource(Exception):  # noqa: N818 - says what is the matter
    """An input cannot be read; the text names it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One spec as found, or a file without one. `number` is its line, or its position in an array, from 1."""

    source: str
    number: int
    text: bytes
    # Why there is no text, if there is none.
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.number}"


def files(inputs: Sequence[str]) -> list[str]:
    """Return the files that `inputs` name, folders replaced by what they hold, sorted; `-` stays as it is.

    Raises:
        BadSource: an input does not exist, or a folder cannot be read or has no spec in it.

    """
    return [found for each in inputs for found in _files(each)]


def _files(given: str) -> list[str]:
    path = Path(given)
    if given == STDIN or path.is_file() or path.is_fifo():
        return [given]
    if not path.is_dir():
        raise BadSource(f"{given}: does not exist; name a file, a folder, or - for standard input")

    def refuse(error: OSError) -> NoReturn:
        raise BadSource(f"{error.filename}: cannot be read ({error.strerror}); allow it, or name the others")

    walked = os.walk(given, onerror=refuse)
    found = sorted(os.path.join(folder, name) for folder, _, names in walked for name in names)  # noqa: PTH118 - walk's own
    specs = [each for each in found if each.endswith(_SUFFIXES)]
    if not specs:
        raise BadSource(f"{given}: holds no {', '.join(_SUFFIXES)} file")
    return specs


def items(sources: Sequence[str], job_ids: Collection[str] | None = None) -> Iterator[Item]:
    """Yield every spec in `sources` (from `files`), in order, and an item for a file without any.

    With `job_ids`, only those jobs, and the specs that have any of them.

    Raises:
        BadSource: an array is too large.

    """
    found = _items(sources)
    yield from found if job_ids is None else _only(job_ids, found)


def _only(job_ids: Collection[str], found: Iterator[Item]) -> Iterator[Item]:
    for item in found:
        # What is not a spec was never answered.
        with suppress(ValueError, RecursionError, LookupError, TypeError):
            spec = json.loads(item.text)
            if jobs := [job for job in spec["jobs"] if job["jobId"] in job_ids]:
                yield Item(item.source, item.number, json.dumps(spec | {"jobs": jobs}).encode())


def _items(sources: Sequence[str]) -> Iterator[Item]:
    for source in sources:
        number, problem = 0, "is empty; put a job spec there, or leave the file out"
        try:
            # Not sys.stdin: at its end the interpreter would wait for a thread still reading from it.
            with open(0, "rb", closefd=False) if source == STDIN else Path(source).open("rb") as stream:
                for number, text in _texts(source, stream):
                    yield Item(source, number, text)
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); mend that, or leave the file out"
            yield Item(source, number + 1, b"", problem)
        else:
            # An empty standard input is a filter that found nothing.
            if not number and source != STDIN:
                yield Item(source, 1, b"", problem)


def count(sources: Sequence[str], job_ids: Collection[str] | None = None) -> int | None:
    """Return how many `items` there are, None if a source can be read only once. Raises BadSource."""
    if any(each == STDIN or not Path(each).is_file() for each in sources):
        return None
    return sum(1 for _ in items(sources, job_ids))


def _texts(source: str, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    lines = _lines(stream)
    if not source.endswith(_LINES):
        first = next(lines, None)
        if first is None:
            return
        if _object(first[1]) is None:
            yield from _whole(source, first, lines)
            return
        yield first
    yield from lines


def _whole(
    source: str, first: tuple[int, bytes], lines: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """Yield a document that did not look like JSON Lines: one spec, an array of them, or lines after all."""
    array, held, size = first[1].startswith(b"["), [first], len(first[1])
    while size <= MAX_DOCUMENT_BYTES and (line := next(lines, None)):
        held.append(line)
        size += len(line[1])
        if not array and "jobs" in (_object(line[1]) or {}):
            # Nothing inside a spec looks like a spec, so the first line must be a broken one.
            yield from held
            yield from lines
            return
    text = b"\n".join(line for _, line in held)
    if array and size > MAX_DOCUMENT_BYTES:
        raise BadSource(
            f"{source}: is an array of more than {MAX_DOCUMENT_BYTES:,} bytes; "
            "put each spec on a line of its own (jq -c '.[]')"
        )
    try:
        # One level more than a spec may have.
        specs = parse_json(text, max_bytes=len(text), max_depth=33) if array else None
    except UnacceptableJson:
        specs = None
    if specs is None:
        yield held[0][0], text
    else:
        yield from ((place, json.dumps(each).encode()) for place, each in enumerate(specs, 1))


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := stream.readline(MAX_DOCUMENT_BYTES + 1):
        number += 1
        # The rest of an overlong line is dropped; what is kept is still too large to be sent.
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_DOCUMENT_BYTES:
            rest = stream.readline(MAX_DOCUMENT_BYTES + 1)
        # Windows programs like to begin a file with a byte order mark.
        if text := (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
            yield number, text


def _object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object on a line; None for anything else."""
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found
