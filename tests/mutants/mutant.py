"""One change of one file, known by where it is and what it says, not by a number that moves."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Mutant:
    """`source` is the whole file with the change; `was` and `now` are the lines of it, without their indent.

    `place` is the function, with the class around it, or the name that is set outside of one.
    """

    path: str
    place: str
    was: tuple[str, ...]
    now: tuple[str, ...]
    source: str

    @classmethod
    def of(cls, path: str, before: str, after: str) -> Self:
        old, new = before.splitlines(), after.splitlines()
        found = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        changes = [each for each in found if each[0] != "equal"]
        was = tuple(line.strip() for _, start, end, _, _ in changes for line in old[start:end])
        now = tuple(line.strip() for _, _, _, start, end in changes for line in new[start:end])
        first_line = changes[0][1] + 1
        return cls(path, _place(ast.parse(before).body, first_line), was, now, after)

    def __str__(self) -> str:
        where = f"{self.path} {self.place}".strip()
        return "\n".join([where, *(f"- {line}" for line in self.was), *(f"+ {line}" for line in self.now)])


def _place(statements: list[ast.stmt], line: int) -> str:
    for each in statements:
        if each.lineno <= line <= (each.end_lineno or each.lineno):
            match each:
                case ast.ClassDef():
                    return ".".join(filter(None, (each.name, _place(each.body, line))))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    return each.name
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    return name
    return ""
