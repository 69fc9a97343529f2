"""Code marked by backticks, in a line or as a block."""

import re

from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import MarkupRule

_FENCE = re.compile(r"(?m)^[ \t>]*(?:`{3,}|~{3,})[ \t]*(?:\{?[.\w+#-]+\}?[ \t]*)?$")
_INFO = re.compile(r"(?m)^[ \t>]*(?:`{3,}|~{3,})[ \t]*\{?[.\w+#-]+")
_TICKS = re.compile(r"`+|\n[ \t]*\n")


def _code_fence(passage: Passage) -> int | None:
    text = passage.text
    if "```" not in text and "~~~" not in text:
        return None
    fences = list(_FENCE.finditer(text))
    if not fences or not (len(fences) > 1 or _INFO.match(fences[0][0])):
        return None
    return fences[0].start()


def _inline_code(passage: Passage) -> int | None:
    """Two runs of as many backticks in one paragraph that hug what stands between them."""
    text = passage.text
    if "`" not in text:
        return None
    opened: dict[int, re.Match[str]] = {}
    for each in _TICKS.finditer(text):
        if each[0][0] != "`":
            opened.clear()
            continue
        length = len(each[0])
        opening = opened.pop(length, None)
        if opening and _is_code(text, opening, each):
            return opening.start()
        opened[length] = each
    return None


def _is_code(text: str, opening: re.Match[str], closing: re.Match[str]) -> bool:
    before = text[opening.start() - 1] if opening.start() else " "
    first, last = text[opening.end()], text[closing.start() - 1]
    # Hawai`i and O`ahu: inside a word it is a letter; in a shell it runs a command: today=`date`.
    return not (first.isspace() or last.isspace() or before.isalnum() or before in "\\=")


RULES = (
    MarkupRule(
        "code_fence",
        "Rows of backticks or tildes that set off a block of code.",
        _code_fence,
        refused="```python\nx = 1\n```",
        accepted="~~~~~~~~\nThe end",
    ),
    MarkupRule(
        "inline_code",
        "Backticks around a word.",
        _inline_code,
        refused="`code`",
        accepted="The backtick ` key; the ` again.",
    ),
)
