"""Markup that is neither Markdown nor HTML: of forums, wikis, LaTeX, reStructuredText, Textile."""

import re

from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import MarkupRule

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
    for each in _BBCODE.finditer(passage.text):
        if each[1].lower() in closed:
            return each.start()
    return None


def _document_command(passage: Passage) -> int | None:
    found = _LATEX.search(passage.text) if "\\" in passage.text else None
    return found.start() if found else None


def _directive(passage: Passage) -> int | None:
    found = _DIRECTIVE.search(passage.text) if "::" in passage.text else None
    return found.start() if found else None


def _other_heading(passage: Passage) -> int | None:
    if passage.is_short_answer or not passage.has_block_signs:
        return None
    found = _OTHER_HEADING.search(passage.text)
    return found.start() if found else None


RULES = (
    MarkupRule(
        "bbcode",
        "Tags of forums in square brackets.",
        _bbcode,
        refused=("[b]Loops[/b] repeat.", "[url=https://example.org]here[/url]"),
        accepted=("[b] is the second item; a[i] the first.", "[i/o]"),
    ),
    MarkupRule(
        "latex_document",
        "Commands of LaTeX that set a document, not a formula.",
        _document_command,
        refused=(
            "\\textbf{Osmosis} is passive.",
            "\\begin{itemize}\n\\item one\n\\end{itemize}",
            "\\section{Cells}",
        ),
        accepted=("\\frac{1}{2} + \\sqrt{3}", "\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "C:\\text\\section"),
    ),
    MarkupRule(
        "directive",
        "Lines that open a box or a block for a document's processor.",
        _directive,
        refused=(":::note\nLearn this.\n:::", ".. note:: Learn this."),
        accepted=("std::cout << x;", "Ratio 2:3:5", "Note::"),
    ),
    MarkupRule(
        "wiki_heading",
        "A title between rows of equals signs, or behind h2 and a full stop.",
        _other_heading,
        refused=("== Loops ==\nLoops repeat.", "h2. Loops"),
        accepted=("x == y", "== means equal to", "a == b == c"),
    ),
)
