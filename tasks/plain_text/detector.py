"""Puts one string before every rule, the dangerous ones first."""

from collections.abc import Iterator

from tasks.plain_text import (
    active_html,
    blocks,
    characters,
    dialects,
    emphasis,
    html_elements,
    inline,
    links,
)
from tasks.plain_text.passage import FieldKind, Passage
from tasks.plain_text.rule import MarkupFinding, MarkupRule

RULES: tuple[MarkupRule, ...] = (
    *characters.RULES,
    *active_html.RULES,
    *html_elements.RULES,
    *inline.RULES,
    *links.RULES,
    *emphasis.RULES,
    *blocks.RULES,
    *dialects.RULES,
)


def findings(value: str, field: FieldKind) -> Iterator[MarkupFinding]:
    """Yield each rule that `value` breaks, with the first line that breaks it, in the rules' order.

    Takes time in proportion to the length of `value`, whatever is in it.
    """
    passage = Passage(value, field)
    for rule in RULES:
        offset = rule.find(passage)
        if offset is not None:
            yield MarkupFinding(rule.name, passage.line_number(offset))


def find_markup(value: str, field: FieldKind) -> MarkupFinding | None:
    """Return the first rule that `value` breaks, and the line it breaks it on; None if it is plain text."""
    return next(findings(value, field), None)
