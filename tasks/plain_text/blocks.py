"""Blocks that a document is set in: headings, lists, quotations, tables, rules.

A line alone says little: `- 5`, `# comment`, `> 1` and `* See page 4` are ordinary. What comes before and
after it, and how it goes on, says more.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from tasks.plain_text.code import is_code, is_surely_code
from tasks.plain_text.passage import FieldKind, Line, Passage
from tasks.plain_text.rule import MarkupRule

# A sign that a sentence is about: "+ means to the right", "- charge attracts", "# of moles". The sign is the
# subject, so the word after it has no capital: "- Lowers cost" is an item.
_ABOUT_THE_SIGN = re.compile(
    r"(?:\d[\d.,]*[ \t]+)?"
    r"(?:means?|is|are|was|stands?|shows?|denotes?|indicates?|and|or|signs?|symbols?|raises?|lowers?|charges?|of|than"
    r"|for|keys?|ve|ions?|plus|minus|bedeutet|heißt|significa|signifie|est|ist|es)\b"
)
_WORD = re.compile(r"[^\W\d_]{2}|[\u2e80-\u9fff\uac00-\ud7af]")
_SPACED_ITEM = re.compile(r"([-*+])[ \t]+(\S.*)")
_TIGHT_ITEM = re.compile(r"([-*+])([^\W\d_]{2,}\S*(?:[ \t].*)?)")
# Endings that lessons on language list, and groups that chemistry does.
_ENDING = re.compile(
    r"(?:n?ess|ments?|[st]?ions?|[ai]bles?|ful|less|ings?|ed|er|est|ly|i?ous|i?ve|ary|[eo]ry|is[em]|ize|ify|ity|ist"
    r"|i?c?al|ish|en|es|ar|ir|re|ez|ons|ent|ais|ait|ions|iez|aient|st|te|ten|tet|test|nd|lich|ung|heit|keit|chen|lein"
    r"|isch|os?|as?|is|amos|emos|imos|áis|éis|ís|an|ado|ido|ando|iendo|ance|ence|ant|hood|ship|dom|wards?|wise"
    r"|ology|phobia|itis|ase|ose|ane|ene|yne|ol|oic|oate|yl|ide|ate|ite|[A-Z][A-Z0-9]*)\b"
)
_TASK = re.compile(r"(?:[-*+]|\d+[.)])[ \t]+\[[ xX]\](?:[ \t]|$)")
_CALCULATION = re.compile(r"=[ \t]*\S")
_REPLY_WORD = (
    r"(?:yes|no|oui|non|si|sí|ja|nein|hello|hi|good|bonjour|salut|bonsoir|allô|hallo|guten|hola|buen[oa]s|merci|danke"
    r"|gracias|thanks?|well|bien|gut|muy|très)\b"
)
_REPLY = re.compile(_REPLY_WORD, re.IGNORECASE)
# "Well, …" and "Très bien, …", not "Well known laws".
_REPLY_SET_OFF = re.compile(rf"{_REPLY_WORD}(?:[ ]{_REPLY_WORD})?[,.!?]", re.IGNORECASE)
_STATEMENT = re.compile(r"[.!…] |[^?]$")
_FOREIGN_QUESTION = re.compile(r"[¿¡]|[ \u00a0\u202f][?!]")
_LEAST_ITEMS = 2

_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_TIGHT_HEADING = re.compile(r"(#{1,6})([^\W\d_][^#{}();=]*)(#*)")
_UNDERLINE = re.compile(r"={3,}|-{3,}")
_TITLE = re.compile(r"[^\W\d_]{3}")
_AMOUNT = re.compile(r"(?:[:=][ \t]*[\u00a3$\u20ac]?|[\u00a3$\u20ac])\d[\d.,]*$")
_LONGEST_TITLE = 80
_FARTHEST = 19

_QUOTE = re.compile(r">{1,2}[ \t]?(?:\[!\w+\]|[^\W\d_]{3}|[\"'\u201c\u2018\u00ab*_]|[A-Z]\w* \w)")
_PROMPT = re.compile(r">[ \t]?(?:[a-z.]+\(|(?:cd|ls|dir|print|python|pip|git|go|npm|mkdir|echo)\b)")

_DELIMITER_ROW = re.compile(
    r"\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?|\|(?:[ \t]*:?-+:?[ \t]*\|)+"
)
# Of two columns or more: one is a drawing of a stack.
_DRAWN_BORDER = re.compile(r"\+(?:[-=]{2,}\+){2,}")
_LEAST_EDGES = 3
_LONGEST_FRONT_MATTER = 30


def _is_comment(lines: list[Line], index: int) -> bool:
    """Whether the line with a `#` stands in a listing: beside code, or with surely code next to it."""
    # Two headings of one level hardly follow each other; the lines of one comment do.
    level = _hashes(lines[index].text)
    beside = lines[max(0, index - 1) : index] + lines[index + 1 : index + 2]
    if any(_hashes(each.text) == level or is_code(each.text) for each in beside):
        return True
    before, after = range(index - 1, index - 1 - _FARTHEST, -1), range(index + 1, index + 1 + _FARTHEST)
    return any(is_surely_code(_neighbour(lines, way)) for way in (before, after))


def _neighbour(lines: list[Line], way: range) -> str:
    """Return the first line on the way that is neither blank nor begins with a `#`, or nothing."""
    for index in way:
        if not 0 <= index < len(lines):
            break
        if lines[index].text and lines[index].text[0] != "#":
            return lines[index].text
    return ""


def _hashes(text: str) -> int:
    return len(text) - len(text.lstrip("#"))


def _heading(passage: Passage) -> int | None:
    text = passage.text
    if passage.is_short_answer or ("#" not in text and "==" not in text and "--" not in text):
        return None
    lines = passage.lines
    for index, line in enumerate(lines):
        sign = line.text[:1]
        if sign == "#" and not line.indented and _is_heading(passage, index):
            return line.offset
        if sign and sign in "=-" and index and _underlines(lines, index):
            return lines[index - 1].offset
    return None


def _is_heading(passage: Passage, index: int) -> bool:
    lines = passage.lines
    text = lines[index].text
    spaced = _HEADING.fullmatch(text)
    if spaced:
        level, words = len(spaced[1]), spaced[2]
        if not any(map(str.isalnum, words)) or "comment" in words.lower():
            return False
        # "# raises a note", "# of moles": a title has a capital, and a sentence about the sign none.
        return (level > 1 or (not words[0].islower() and _opens_a_title(words))) and not _is_comment(
            lines, index
        )
    tight = _TIGHT_HEADING.fullmatch(text)
    if not tight or passage.field is FieldKind.OPTION:
        return False
    if len(tight[1]) > 1:
        return not _is_comment(lines, index)
    # "#Osmosis" and then the text; "#BlackLivesMatter spread" is a hashtag, "#include" a directive.
    words = tight[2].rstrip()
    titled = words.split(" ")[0].istitle() and words[-1:] not in ".!?,"
    follows = index + 1 < len(lines) and not lines[index + 1].blank and lines[index + 1].text[0] != "#"
    return titled and follows and not _is_comment(lines, index)


def _opens_a_title(words: str) -> bool:
    return not words[0].isdigit() or re.match(r"\d+(?:\.\d+)*[.):]?[ \t]+[^\W\d_]{2}", words) is not None


def _underlines(lines: list[Line], index: int) -> bool:
    """Whether the row of signs makes the one line above it a heading, and not a sum, a table or a bill."""
    title = lines[index - 1]
    if not _UNDERLINE.fullmatch(lines[index].text) or not _TITLE.search(title.text):
        return False
    if title.indented or (index > 1 and not lines[index - 2].blank) or title.text[0].islower():
        return False  # a fraction or a sum, drawn with hyphens
    if _AMOUNT.search(title.text):
        return False
    plain = "  " not in title.text and "\t" not in title.text and "|" not in title.text
    return plain and len(title.text) <= _LONGEST_TITLE and title.text[-1] not in ".,;?!"


def _bullet_list(passage: Passage) -> int | None:
    if not passage.has_block_signs or "\n" not in passage.text:
        return None
    lines = passage.lines
    # The lines of a comment in C or Java begin with an asterisk each.
    in_comments = "*" if "/*" in passage.text or "*/" in passage.text else ""
    runs = (items for items in _runs(lines) if lines[items[0]].text[0] != in_comments)
    return next((lines[items[0]].offset for items in runs if _is_list(lines, items)), None)


def _runs(lines: list[Line]) -> Iterator[list[int]]:
    """Yield the indices of lines that begin with one bullet, with only blank or indented ones between."""
    items: list[int] = []
    for index, line in enumerate(lines):
        is_item = _item(line) is not None
        if is_item and (not items or line.text[0] == lines[items[0]].text[0]):
            items.append(index)
        elif not items or line.blank or (line.indented and not is_item):
            continue
        else:
            if len(items) >= _LEAST_ITEMS:
                yield items
            items = [index] if is_item else []
    if len(items) >= _LEAST_ITEMS:
        yield items


def _item(line: Line) -> re.Match[str] | None:
    if line.text[:1] not in {"-", "*", "+"}:
        return None
    return _SPACED_ITEM.fullmatch(line.text) or _TIGHT_ITEM.fullmatch(line.text)


def _is_list(lines: list[Line], items: list[int]) -> bool:
    bodies = [match[2] for each in items if (match := _item(lines[each]))]
    worded = [each for each in bodies if _WORD.search(each) and not _ABOUT_THE_SIGN.match(each)]
    if len(worded) < _LEAST_ITEMS:
        return False
    sign = lines[items[0]].text[0]
    tight = [lines[each].text for each in items if _TIGHT_ITEM.fullmatch(lines[each].text)]
    if tight and any(_ENDING.match(each, 1) for each in tight):
        return False
    # The lines beside the run: a sum (Revenue 500, - wages 200, = profit 300), or arguments for and against
    # (+ cheap, - noisy).
    above = lines[items[0] - 1].text if items[0] else ""
    below = lines[items[-1] + 1].text if items[-1] + 1 < len(lines) else ""
    if _CALCULATION.match(below):
        return False
    opposite = {"+": "-", "-": "+"}.get(sign, "")
    if opposite and opposite in {above[:1], below[:1]}:
        return False
    return not (sign == "-" and _is_dialogue(bodies))


def _is_dialogue(bodies: list[str]) -> bool:
    """Whether the dashes are of people speaking in turn: sentences, and one of them an answer."""
    if not all(each[-1] in '.?!…»"”' for each in bodies):
        return False
    if any(
        (before[-1] == "?" and _STATEMENT.search(each)) or _REPLY_SET_OFF.match(each)
        for before, each in pairwise(bodies)
    ):
        return True
    asked = any("?" in each or "!" in each for each in bodies)
    return asked and any(_FOREIGN_QUESTION.search(each) or _REPLY.match(each) for each in bodies)


def _task_list(passage: Passage) -> int | None:
    if "] " not in passage.text and "]" not in passage.text[-1:]:
        return None
    return next((each.offset for each in passage.lines if _TASK.match(each.text)), None)


def _blockquote(passage: Passage) -> int | None:
    if ">" not in passage.text or passage.is_short_answer:
        return None
    lines = passage.lines
    for index, line in enumerate(lines):
        if not _QUOTE.match(line.text) or _ABOUT_THE_SIGN.match(line.text.lstrip("> \t")):
            continue
        # A comparison that was broken at its sign, and what is typed at a prompt.
        broken = index and not lines[index - 1].blank and lines[index - 1].text[-1].isdigit()
        if not broken and not _PROMPT.match(line.text):
            return line.offset
    return None


def _table(passage: Passage) -> int | None:
    text = passage.text
    if "\n" not in text or ("|" not in text and "+-" not in text and "+=" not in text):
        return None
    for above, line in pairwise(passage.lines):
        if "|" not in above.text and above.text[:1] != "+":
            continue
        if "|" in above.text and "|" in line.text and _DELIMITER_ROW.fullmatch(line.text):
            return above.offset
        if _is_edged_row(above.text) and _is_edged_row(line.text):
            return above.offset
        if _DRAWN_BORDER.fullmatch(above.text) and line.text.startswith("|"):
            return above.offset
    return None


def _is_edged_row(text: str) -> bool:
    return (
        text[:1] == text[-1:] == "|"
        and text.count("|") >= _LEAST_EDGES
        and (text[1:2] in " \t" or text[-2:-1] in " \t")
    )


def _thematic_break(passage: Passage) -> int | None:
    """Three hyphens between two paragraphs, or around the data before a document."""
    if "---" not in passage.text:
        return None
    lines = passage.lines
    filled = [index for index, line in enumerate(lines) if not line.blank]
    for index in filled:
        if lines[index].text not in {"---", "- - -"}:
            continue
        if index == 0 and any(each.text == "---" for each in lines[1:_LONGEST_FRONT_MATTER]):
            return lines[index].offset
        if filled[0] < index < filled[-1] and lines[index - 1].blank and lines[index + 1].blank:
            return lines[index].offset
    return None


RULES = (
    MarkupRule(
        "heading",
        "Hashes before a title, or a row of signs under it.",
        _heading,
        refused="# Cells",
        accepted="# Show the total\nprint(total)",
    ),
    MarkupRule(
        "task_list",
        "Boxes to tick in a list.",
        _task_list,
        refused="- [ ] task",
        accepted="[ ] agree\n[ ] disagree",
    ),
    MarkupRule(
        "bullet_list",
        "Two or more lines in a row that begin with the same bullet and go on in words.",
        _bullet_list,
        refused="- water\n- salt",
        accepted="- Macbeth, Act 2",
    ),
    MarkupRule(
        "blockquote",
        "A line of words behind a greater-than sign.",
        _blockquote,
        refused="> quoted",
        accepted="3 > 2\n> 1",
    ),
    MarkupRule(
        "table",
        "Cells between bars, with a row of hyphens or with bars at both ends of each row.",
        _table,
        refused="| a | b |\n|---|---|\n| 1 | 2 |",
        accepted="x | y\n1 | 2",
    ),
    MarkupRule(
        "thematic_break",
        "Three hyphens between two paragraphs.",
        _thematic_break,
        refused="above\n\n---\n\nbelow",
        accepted="He left.\n\n* * *\n\nHe came back.",
    ),
)
