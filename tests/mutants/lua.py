"""Makes the mutants of the Lua scripts in a Python file: operators, numbers, words, and commands left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.mutants.mutant import Mutant

_TOKEN = re.compile(
    r"(?P<comment>--.*)|(?P<placeholder>\{\{|\}\}|\{\w+\})|(?P<string>'[^']+')|(?P<number>\b\d+\b)"
    r"|(?P<word>\b(?:and|or|not|true|false)\b)|(?P<operator>\.\.|==|~=|<=|>=|[<>+*/%-])"
)
_OTHERWISE = {
    "and": "or",
    "or": "and",
    "not": "",
    "true": "false",
    "false": "true",
    "==": "~=",
    "~=": "==",
    "<=": "<",
    "<": "<=",
    ">=": ">",
    ">": ">=",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "%": "*",
}
# A line that does something by itself, and can be left out.
_COMMAND = re.compile(r"\s*(?:redis\.call\(|add\(|take\(|if ).*(?:\)|\bend)\s*")


def lua_mutants(path: str, source: str) -> Iterator[Mutant]:
    lines = source.splitlines(keepends=True)
    for number in sorted(_script_lines(source)):
        for changed in _changed(lines[number]):
            yield Mutant.of(path, source, "".join([*lines[:number], changed, *lines[number + 1 :]]))


def _script_lines(source: str) -> set[int]:
    scripts = [
        each
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.Constant | ast.JoinedStr)
        and re.search(r"redis\.call|local function", ast.get_source_segment(source, each) or "")
    ]
    return {line for each in scripts for line in range(each.lineno - 1, each.end_lineno or each.lineno)}


def _changed(line: str) -> Iterator[str]:
    if _COMMAND.fullmatch(line):
        yield "\n"
    for token in _TOKEN.finditer(line):
        other = _other(token)
        if other is not None:
            yield line[: token.start()] + other + line[token.end() :]


def _other(token: re.Match[str]) -> str | None:
    match token.lastgroup:
        case "string":
            return f"'XX{token[0][1:-1]}XX'"
        case "number":
            return str(int(token[0]) + 1)
        case _:
            return _OTHERWISE.get(token[0])
