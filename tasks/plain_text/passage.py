"""A value as the rules see it: its text, its lines and the kind of its field."""

import re
from bisect import bisect_left, bisect_right
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


class FieldKind(StrEnum):
    """What a string is for: running text, or a short answer, tag or id that may be a sign of its subject."""

    TEXT = "text"
    OPTION = "option"


class Line(NamedTuple):
    """One line: where it begins in the passage, and its text without the blanks around it."""

    offset: int
    text: str
    indented: bool

    @property
    def blank(self) -> bool:
        """Whether there is nothing on it."""
        return not self.text


# A line that a block of Markdown or of another dialect could begin with, or be ruled off by.
_BLOCK_SIGN = re.compile(r"(?m)^[ \t]*(?:[-*+>#|=~`:\\]|\.\. |h[1-6]\. |\d+[.)][ \t]+\[)")


class Passage:
    """One value and its field."""

    def __init__(self, text: str, field: FieldKind) -> None:
        self.text = text
        self.field = field
        self._said: dict[re.Pattern[str], list[int]] = {}

    @cached_property
    def _line_starts(self) -> list[int]:
        return [each.offset for each in self.lines]

    @cached_property
    def lines(self) -> list[Line]:
        """The lines of the passage."""
        lines = []
        offset = 0
        for each in self.text.split("\n"):
            stripped = each.strip()
            lines.append(Line(offset, stripped, indented=each[:1] in {" ", "\t"}))
            offset += len(each) + 1
        return lines

    @cached_property
    def is_printable(self) -> bool:
        """Whether all of it is seen, or is a blank, a tab or a newline."""
        return self.text.replace("\n", "").replace("\t", "").isprintable()

    @cached_property
    def has_block_signs(self) -> bool:
        """Whether any line begins as a block of markup might."""
        return "|" in self.text or _BLOCK_SIGN.search(self.text) is not None

    @property
    def is_short_answer(self) -> bool:
        """Whether it is an option of one line: `# comment`, `- 5` and `> 5` are answers there, not blocks."""
        return self.field is FieldKind.OPTION and "\n" not in self.text

    def line_number(self, offset: int) -> int:
        """Return the number, from 1, of the line that has `offset`."""
        return bisect_right(self._line_starts, offset)

    def line_at(self, offset: int) -> Line:
        """Return the line that has `offset`."""
        return self.lines[self.line_number(offset) - 1]

    def line_says(self, pattern: re.Pattern[str], offset: int, *, before: bool = False) -> bool:
        """Whether `pattern` begins on the line that has `offset`; with `before`, ahead of it."""
        if pattern not in self._said:
            self._said[pattern] = [each.start() for each in pattern.finditer(self.text)]
        said = self._said[pattern]
        if not said:
            return False
        number = self.line_number(offset)
        begin = self._line_starts[number - 1]
        end = self._line_starts[number] if number < len(self._line_starts) else len(self.text)
        first = bisect_left(said, begin)
        return first < len(said) and said[first] < (offset if before else end)

    def before(self, offset: int) -> str:
        """Return the character before `offset`, or nothing at the start."""
        return self.text[offset - 1 : offset] if offset else ""
