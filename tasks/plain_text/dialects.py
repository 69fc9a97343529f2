"""Markup that is neither Markdown nor HTML: of forums, wikis, LaTeX, reStructuredText, Textile."""

import re

from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import MarkupRule, matching

_BBCODE = re.compile(
    r"\[(b|i|u|s|url|img|quote|code|list|size|color|center)(?:=[^\]\n]{0,100})?\]", re.IGNORECASE
)
_BBCODE_END = re.compile(r"\[/([a-z]{1,6})\]", re.IGNORECASE)
# Formulae such as \frac{1}{2} are how mathematics is typed; these set a document.
_LATEX = re.compile(
    r"\\(?:text(?:bf|it|tt|sc)|emph|(?:sub)*section\*?|chapter\*?|paragraph|href|url|includegraphics|footnote|caption)"
    r"(?:\[[^\]\n]{0,100}\])?\{|\\begin\{(?:itemize|enumerate|description|document|center|tabular|table|figure|quote"
    r"|verbatim|lstlisting)\*?\}|\\documentclass\b"
)
_DIRECTIVE = re.compile(r"(?m)^[ \t]*(?:\.\. [a-z-]+::|:{3,}[ \t]*\{?\.?[a-z])")
_OTHER_HEADING = re.compile(r"(?m)^(?:h[1-6]\. \S|(={2,6}) [^=\n]*[^\W\d_][^=\n]* \1[ \t]*$)")


def _bbcode(passage: Passage) -> int | None:
    if "[/" not in passage.text:
        return None
    closed = {each[1].lower() for each in _BBCODE_END.finditer(passage.text)}
    return next((each.start() for each in _BBCODE.finditer(passage.text) if each[1].lower() in closed), None)


def _other_heading(passage: Passage) -> int | None:
    if passage.is_short_answer or not passage.has_block_signs:
        return None
    return matching(_OTHER_HEADING)(passage)


RULES = (
    MarkupRule(
        "bbcode",
        "Tags of forums in square brackets.",
        _bbcode,
        refused="[b]Loops[/b] repeat.",
        accepted="[b] is the second item; a[i] the first.",
    ),
    MarkupRule(
        "latex_document",
        "Commands of LaTeX that set a document, not a formula.",
        matching(_LATEX, "\\"),
        refused="\\textbf{Osmosis} is passive.",
        accepted="\\frac{1}{2} + \\sqrt{3}",
    ),
    MarkupRule(
        "directive",
        "Lines that open a box or a block for a document's processor.",
        matching(_DIRECTIVE, "::"),
        refused=":::note\nLearn this.\n:::",
        accepted="std::cout << x;",
    ),
    MarkupRule(
        "wiki_heading",
        "A title between rows of equals signs, or behind h2 and a full stop.",
        _other_heading,
        refused="== Loops ==\nLoops repeat.",
        accepted="x == y",
    ),
)
