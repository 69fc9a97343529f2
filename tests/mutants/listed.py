"""Reads the list of the mutants that no test needs to kill, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Mutant

LIST = Path(__file__).with_name("survivors.txt")
# In the list it stands for any text.
_ANYTHING = "…"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry: a mutant as `str` shows it, of which parts may be left open, and the reason above it."""

    text: str
    reason: str

    @property
    def path(self) -> str:
        return self.text.split(maxsplit=1)[0]

    def covers(self, mutant: Mutant) -> bool:
        parts = (re.escape(part) for part in self.text.split(_ANYTHING))
        return re.fullmatch(".*".join(parts), str(mutant), re.DOTALL) is not None


def read(text: str) -> list[Listed]:
    """Return the entries of a list; blocks are apart by an empty line, and # begins one with a reason."""
    entries, reason = [], ""
    for block in filter(None, (each.strip() for each in re.split(r"\n\s*\n", text))):
        if block.startswith("#"):
            reason = " ".join(line.lstrip("# ") for line in block.splitlines())
        else:
            entries.append(Listed(block, reason))
    return entries


def complaints(survivors: Iterable[Mutant], entries: Iterable[Listed]) -> list[str]:
    """Return in words which survivors are not listed, and of which entries none survived."""
    alive, listed = list(survivors), list(entries)
    unlisted = [each for each in alive if not any(entry.covers(each) for entry in listed)]
    dead = [entry for entry in listed if not any(entry.covers(each) for each in alive)]
    return [
        *(f"no test notices this; write one, or list it with a reason:\n{each}" for each in unlisted),
        *(f"a test notices this now, or it is gone; take it off the list:\n{each.text}" for each in dead),
    ]
