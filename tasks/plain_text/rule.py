"""What a rule is, and what it finds."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tasks.plain_text.passage import Passage

# Returns the offset of the first sign of its markup in a passage, or None.
Find = Callable[[Passage], int | None]


@dataclass(frozen=True, slots=True)
class MarkupFinding:
    """Which rule a value breaks, and on which of its lines (from 1). Never what stands there."""

    rule: str
    line: int


@dataclass(frozen=True, slots=True)
class MarkupRule:
    """One kind of markup.

    The examples are texts, not options: `refused` is found by this very rule, `accepted` by none. There are
    more of them in `tests/cases/plain_text_rules.json`.
    """

    name: str
    reason: str
    find: Find
    refused: str
    accepted: str


def matching(pattern: re.Pattern[str], sign: str = "") -> Find:
    """Return a search for `pattern`, which only a text that has `sign` can match."""

    def find(passage: Passage) -> int | None:
        found = pattern.search(passage.text) if sign in passage.text else None
        return found.start() if found else None

    return find


def first_of(*finds: Find) -> Find:
    """Return a search that tries each of `finds` in turn."""

    def find(passage: Passage) -> int | None:
        for each in finds:
            at = each(passage)
            if at is not None:
                return at
        return None

    return find
