"""Links, images and footnotes: brackets that point somewhere.

`arr[0](1)`, `[H+](aq)` and `(a) [2](b)` have the same brackets and point nowhere, so the target decides.
"""

import re
from functools import partial

from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import MarkupRule, first_of, matching

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


def _pointing(passage: Passage, *, images: bool) -> int | None:
    text = passage.text
    if "](" not in text:
        return None
    for each in _TARGET.finditer(text):
        if each[2] is None and not _ADDRESS.match(each[1]):
            continue
        opening = text.rfind("[", max(0, each.start() - _LONGEST_LABEL), each.start())
        if opening < 0:
            continue
        marked = passage.before(opening) == "!"
        if marked == images and _points(passage, opening, each, image=marked):
            return opening - marked
    return None


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


def _autolink(passage: Passage) -> int | None:
    text = passage.text
    for each in _AUTOLINK.finditer(text) if "<" in text else ():
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
    if "[^" not in text:
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
    return None


RULES = (
    MarkupRule(
        "image",
        "A picture's address in the form of Markdown.",
        first_of(matching(_IMAGE_BY_REFERENCE, "!["), partial(_pointing, images=True)),
        refused="![Cell](cell.png)",
        accepted="![not an image]",
    ),
    MarkupRule(
        "link",
        "A link's text and address in the form of Markdown.",
        partial(_pointing, images=False),
        refused="[BBC](https://www.bbc.co.uk)",
        accepted="The array arr[0](1) is a call.",
    ),
    MarkupRule(
        "reference_link",
        "An address set apart for a link, or bracketed so that it becomes one.",
        first_of(matching(_DEFINITION, "]:"), _autolink),
        refused="See [notes][1].\n\n[1]: https://example.org",
        accepted="Smith, Cells, <https://example.org> [accessed 3 May 2024].",
    ),
    MarkupRule(
        "wiki_link",
        "Double brackets around a title.",
        _wiki_link,
        refused="[[Osmosis]]",
        accepted="A = [[1, 2], [3, 4]]",
    ),
    MarkupRule(
        "footnote",
        "A mark that a footnote hangs on, or the footnote.",
        first_of(_footnote, matching(_INLINE_NOTE, "^[")),
        refused="Osmosis.[^1]",
        accepted="[^0-9] matches what is no digit.",
    ),
)
