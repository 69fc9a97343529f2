"""Reads gates/CONTRACT.md: its tables by heading, its JSON blocks, and the values in its cells."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import gates

TEXT = Path(gates.__file__).with_name("CONTRACT.md").read_text(encoding="utf-8")


def tables() -> dict[str, list[dict[str, str]]]:
    """Return the rows of each table, under the heading that it stands beneath."""
    found: dict[str, list[dict[str, str]]] = {}
    for heading, body in _sections():
        lines = [line for line in body.splitlines() if line.startswith("|")]
        if not lines:
            continue
        head, rule, *rows = [_cells(line) for line in lines]
        assert set("".join(rule)) == {"-"}, f"{heading}: two tables under one heading"
        found[heading] = [dict(zip(head, row, strict=True)) for row in rows]
    return found


def json_blocks() -> list[Any]:
    """Return the JSON documents of the page, in order."""
    return [json.loads(each) for each in re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)]


def raw(cell: str) -> bytes | None:
    """Return the bytes of a key, None for `absent`."""
    return None if _code(cell) == "absent" else ast.literal_eval("b" + _code(cell))


def text(cell: str) -> str | None:
    """Return a text, None for `absent`."""
    return None if _code(cell) == "absent" else ast.literal_eval(_code(cell))


def code_words(cell: str) -> list[str]:
    """Return all code words of a cell; none in a cell that is a dash."""
    return re.findall(r"`([^`]+)`", cell)


def _code(cell: str) -> str:
    (word,) = code_words(cell)
    return word


def _sections() -> list[tuple[str, str]]:
    parts = re.split(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
