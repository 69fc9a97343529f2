"""Links, images and footnotes: brackets that point somewhere.

`arr[0](1)`, `[H+](aq)` and `(a) [2](b)` have the same brackets and point nowhere, so the target decides.
"""

import re

from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import MarkupRule

_SHORTEST_LABEL, _LONGEST_LABEL = 3, 300
_SCHEME = r"(?:https?|mailto|ftp|tel|javascript|vbscript|data|file):"
_TARGET = re.compile(r"\]\([ \t]*<?([^\s()<>]*)(>?(?:[ \t]+[\"'(][^)\n]{0,200})?[ \t]*\))?")
_ADDRESS = re.compile(
    rf"{_SCHEME}|//\w|/[\w-]{{2,}}|#\w|\.\.?/|www\.|[\w.-]+\.(?:com|org|net|edu|gov|uk|de|fr|es|io|eu|info|co|example|html?|php|md"
    r"|pdf|png|jpe?g|gif|svg|webp|txt|docx?|pptx?|mp[34])(?![\w.])",
    re.IGNORECASE,
)
_IMAGE_BY_REFERENCE = re.compile(r"(?<![\w)\]])!\[[^\W\d_][^\[\]\n]{1,100}\]\[[^\[\]\n]{0,100}\]")
_DEFINITION = re.compile(
    rf"(?m)^[ \t]{{0,3}}\[[^\]\^\n][^\]\n]{{0,99}}\]:[ \t]*<?(?:{_SCHEME}|www\.|[/#]\w)", re.IGNORECASE
)
_AUTOLINK = re.compile(rf"<(?:{_SCHEME}|www\.)[^\s<>]*>", re.IGNORECASE)
# As books on style ask for it: Available at: <https://…> [accessed 3 May 2024].
_CITED_BEFORE = re.compile(
    r"(?:\bat|\bfrom|\burl|\bonline|\bin|\b(?:dis)?ponible|\bunter|[,\]])\s*:?\s*$", re.IGNORECASE
)
_CITED_AFTER = re.compile(
    r"\s*[\[(](?:last )?(?:accessed|consulted|retrieved|viewed|consulté|abgerufen)", re.IGNORECASE
)
_WIKI = re.compile(r"(!?)\[\[([^\[\]\n]{1,100})\]\]")
_WIKI_LABEL = re.compile(r"(?!(?:None|True|False)$)[^\W\d_][\w .'\u2019|#:/()-]+")
# Osmosis[^note] has a whole word on either side of its bracket; colou[^r] and gr[^aeiou]y are patterns.
_FOOTNOTE = re.compile(r"((?<=[^\W\d_]{4})[.,;:!?]?)?\[\^([\w-]{1,30})\](:?)")
# A number hangs on a word or on what ends a sentence; x[^2] is a pattern.
_NOTED = re.compile(r"(?:[^\W\d_]{2}|[.,;:!?)\]\"\u201d\u2019])$")
_NOTE_NAME = re.compile(r"[^\W\d_]{3,}")
_INLINE_NOTE = re.compile(r"(?<=\w)\^\[[^\W\d_]+[ ,][^\W\d_]")


def _link(passage: Passage) -> int | None:
    return _pointing(passage, images=False)


def _image(passage: Passage) -> int | None:
    return _pointing(passage, images=True)


def _pointing(passage: Passage, *, images: bool) -> int | None:
    text = passage.text
    if images and "![" in text:
        by_reference = _IMAGE_BY_REFERENCE.search(text)
        if by_reference:
            return by_reference.start()
    if "](" not in text:
        return None
    for each in _TARGET.finditer(text):
        if not _may_point(each):
            continue
        opening = text.rfind("[", max(0, each.start() - _LONGEST_LABEL), each.start())
        if opening < 0:
            continue
        marked = passage.before(opening) == "!"
        if marked == images and _points(passage, opening, each, image=marked):
            return opening - marked
    return None


def _may_point(target: re.Match[str]) -> bool:
    return bool(_ADDRESS.match(target[1]) or target[2] is not None)


def _points(passage: Passage, opening: int, target: re.Match[str], *, image: bool) -> bool:
    if _ADDRESS.match(target[1]):
        return True
    if passage.before(opening - image).isalnum():
        return False  # arr[index](), n![2](3)
    label = passage.text[opening + 1 : target.start()]
    if image:
        return bool(target[1]) and not target[1].isdigit()
    # [Osmosis](osmosis), and a link whose target was left out.
    return len(label) >= _SHORTEST_LABEL and label[0].isalpha() and _slug(target[1]) in {"", _slug(label)}


def _slug(text: str) -> str:
    return "".join(each for each in text.lower() if each.isalnum())


def _reference_or_autolink(passage: Passage) -> int | None:
    text = passage.text
    if "]:" in text:
        definition = _DEFINITION.search(text)
        if definition:
            return definition.start()
    if "<" in text:
        for each in _AUTOLINK.finditer(text):
            cited = _CITED_BEFORE.search(text, max(0, each.start() - 20), each.start())
            if not (cited or _CITED_AFTER.match(text, each.end())):
                return each.start()
    return None


def _wiki_link(passage: Passage) -> int | None:
    if "[[" not in passage.text:
        return None
    for each in _WIKI.finditer(passage.text):
        if each[1] or (_WIKI_LABEL.fullmatch(each[2]) and not passage.before(each.start()).isalnum()):
            return each.start()
    return None


def _footnote(passage: Passage) -> int | None:
    text = passage.text
    if "[^" not in text and "^[" not in text:
        return None
    for each in _FOOTNOTE.finditer(text):
        numbered = each[2].isdigit() and _NOTED.search(text, max(0, each.start(2) - 4), each.start(2) - 2)
        named = (
            each[1] is not None
            and _NOTE_NAME.fullmatch(each[2])
            and not text[each.end() : each.end() + 1].isalnum()
        )
        if each[3] or numbered or named:
            return each.start(2) - 2
    note = _INLINE_NOTE.search(text)
    return note.start() if note else None


RULES = (
    MarkupRule(
        "image",
        "A picture's address in the form of Markdown.",
        _image,
        refused=("![Cell](cell.png)", "![](https://example.org/a)", "![Diagram](diagram)", "![Diagram][1]"),
        accepted=("![not an image]", "n![2](3)", "Wow! [2](b)"),
    ),
    MarkupRule(
        "link",
        "A link's text and address in the form of Markdown.",
        _link,
        refused=(
            "[BBC](https://www.bbc.co.uk)",
            "[notes](notes.html)",
            "[Cell division](cell-division)",
            "[Cells]()",
        ),
        accepted=(
            "The array arr[0](1) is a call.",
            "Marks: [3] for (a), [2](b)",
            "[HCl](mol/dm3) and [H+](aq)",
            "See https://example.org/a_b [3].",
        ),
    ),
    MarkupRule(
        "reference_link",
        "An address set apart for a link, or bracketed so that it becomes one.",
        _reference_or_autolink,
        refused=("See [notes][1].\n\n[1]: https://example.org", "<https://example.org>"),
        accepted=(
            "Smith, Cells, <https://example.org> [accessed 3 May 2024].",
            "[1]: Smith (2019)",
            "From: Ann <ann@example.org>",
        ),
    ),
    MarkupRule(
        "wiki_link",
        "Double brackets around a title.",
        _wiki_link,
        refused=("[[Osmosis]]", "[[Diffusion|spreading]]", "![[cell.png]]"),
        accepted=("A = [[1, 2], [3, 4]]", "x[[1]]", "[[a], [b]]", 'if [[ -f "notes" ]]; then'),
    ),
    MarkupRule(
        "footnote",
        "A mark that a footnote hangs on, or the footnote.",
        _footnote,
        refused=(
            "Osmosis.[^1]",
            "[^note]: It needs no energy.",
            "Osmosis[^note] is passive.",
            "Cells^[They are small.]",
        ),
        accepted=(
            "[^0-9] matches what is no digit.",
            "colou[^r] and gr[^aeiou]y",
            "x[^2] and x^[2]",
            "£5* *plus tax",
        ),
    ),
)
