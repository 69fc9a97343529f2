"""What a rule is, and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.plain_text.passage import FieldKind, Passage

__all__ = ["FieldKind", "MarkupFinding", "MarkupRule"]


@dataclass(frozen=True, slots=True)
class MarkupFinding:
    """Which rule a value breaks, and on which of its lines (from 1). Never what stands there."""

    rule: str
    line: int


@dataclass(frozen=True, slots=True)
class MarkupRule:
    """One kind of markup.

    `find` returns the offset of its first sign in a passage, or None. The examples are texts, not options,
    and stand beside the rule so that whoever changes it sees at once what it must and must not find; each of
    `refused` is found by this very rule, each of `accepted` by none.
    """

    name: str
    reason: str
    find: Callable[[Passage], int | None]
    refused: tuple[str, ...]
    accepted: tuple[str, ...]
