"""Decides whether a string of an answer is plain text: ordinary lesson text as it stands, to a reader.

A Markdown parser answers "would this be shown as something else?". The question here is "did the model
answer in markup?": `2*(3+4)*5` and `1066. Hastings.` would be shown as something else, and are no markup. So
rules decide, each with a name, a reason and examples of both sides, on the whole value and the kind of its
field.
"""

from tasks.plain_text.detector import RULES, find_markup, findings
from tasks.plain_text.passage import FieldKind
from tasks.plain_text.rule import MarkupFinding, MarkupRule

__all__ = ["RULES", "FieldKind", "MarkupFinding", "MarkupRule", "find_markup", "findings"]
