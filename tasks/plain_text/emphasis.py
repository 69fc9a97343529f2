"""Pairs of signs around words: bold, italic, struck out, highlighted.

The same signs are products and powers (`2*(3+4)*5`, `2**3**2`), footnote marks (`£5*`), censored letters
(`d*mn`), pointers (`int *p, *q`), names (`__init__`) and blanks to fill in. A pair is emphasis where its
first sign stands before a word and its second behind one.
"""

import re
from collections.abc import Callable

from tasks.plain_text.code import is_code, is_surely_code
from tasks.plain_text.passage import FieldKind, Passage
from tasks.plain_text.rule import Find, MarkupRule, first_of, matching
from tasks.plain_text.signs import CJK, CLOSING_QUOTES, DASHES, OPENING_QUOTES

# What may stand before an opening sign and behind a closing one, beside blanks and the ends of the text.
_BEFORE = OPENING_QUOTES + DASHES + "([{:;,>|"
_AFTER = re.escape(CLOSING_QUOTES + DASHES + ")]}.,;:!?\u2026-|<") + CJK
# What never stands before a closing sign: 2*(*, x=*, /* a comment */, and a quotation mark that opens.
_NEVER_LAST = re.escape("([{=+</\\\u201c\u2018\u00ab")
# What a word in bold may begin with beside letters and digits: money, roots, brackets.
_IN_BOLD = re.escape("\u00a3$\u20ac\u00a5\u221a+-#(\uff08\u300c\u300e\u300a\u3010")
_ENDS_A_LABEL = ".,:;!?)\u201d\u00bb"
_IDENTIFIER = re.compile(r"_{0,2}[A-Za-z]\w*")
# Names that Python and C give a meaning to.
_DUNDER = re.compile(
    r"(?:abs|add|all|and|annotations|author|bases|bool|builtins|call|class|contains|copy|debug|del|delattr|delete"
    r"|delitem|dict|dir|div|doc|enter|eq|exit|file|float|floordiv|format|func|function|future|ge|get|getattr"
    r"|getattribute|getitem|gt|hash|iadd|imul|import|index|init|int|invert|isub|iter|key|le|len|line|lshift|lt|main"
    r"|matmul|missing|mod|module|mro|mul|name|ne|neg|new|next|or|package|path|pos|post_init|pow|proto|qualname|radd"
    r"|reduce|repr|reversed|rmul|round|rshift|rsub|self|set|setattr|setitem|sizeof|slots|spec|str|sub|time|date"
    r"|truediv|version|xor"
    # Of C, and what has an underscore or a digit of its own, as names have and words have not.
    r"|[A-Z][A-Z0-9_]*|[A-Za-z]+[_0-9]\w*)"
)
_OF_PYTHON = re.compile(r"\b(?:Python|dunder|methods?|constructors?|attributes?|operators?)\b")
_PRODUCT = re.compile(r"(?<!\w)\w \*\w\* \w(?!\w)")
_SEARCHES = re.compile(r"\b(?:LIKE|like|wildcards?|search(?:es)?|match(?:es)?|find|filter|pattern)\b")
_LOWERED, _RAISED = re.compile(r"~\d{1,3}~"), re.compile(r"\^\d{1,3}\^(?![\w({])")
# Part of a word: un**believ**able, **photo**synthesis, un**kind**. x**y**z is a tower of powers.
_INSIDE = re.compile(
    r"\*\*(?<=[a-z]\*\*)[a-z]{3,30}\*\*(?=[a-z]{2}|$|[\s.,;:!?)])"
    r"|\*\*(?<![\w*]\*\*)[a-z]{2,30}\*\*(?=[a-z]{2})",
    re.IGNORECASE,
)
# A docstring has its line to itself.
_WIKI_BOLD = re.compile(r"(?<![\w'(=])'''[^\s'][^'\n]{0,200}'''(?=[.,;:]?[ ][^\W\d_])")

_Confirm = Callable[[Passage, re.Match[str], re.Match[str]], bool]


def _pair(sign: str, least: int, most: int, confirm: _Confirm) -> Find:
    """Return a search for two runs of `least` to `most` signs around words, which `confirm` agrees to.

    Single signs and underscores pair on one line, runs of the others in one paragraph. Where no sign closes
    there, all that open there are passed over, so that each character is searched a fixed number of times.
    """
    # The signs come first, since a literal is found fast, and what stands before them after that.
    signs, more = re.escape(sign * least), rf"{re.escape(sign)}{{0,{most - least}}}(?!{re.escape(sign)})"
    # Written of, as in print(*args, sep='*').
    not_named = rf"(?!(?<=\"{signs})\"|(?<='{signs})')"
    several = most > 1
    # Bold may follow a full stop without a blank; regular expressions have `.*` there.
    before = re.escape((_BEFORE + (".!?" if several and sign == "*" else "")).replace(sign, "")) + CJK
    word = rf"[^\W\d_]|[{re.escape(OPENING_QUOTES)}_*~`\[]" + (rf"|[\d{_IN_BOLD}]" if several else "")
    opening = re.compile(rf"{signs}{not_named}(?<![^\s{before}]{signs}){more}(?={word})")
    behind = rf"(?<=[^\s{_NEVER_LAST}{re.escape(sign)}]{signs}){more}(?=$|[\s{_AFTER}])"
    label = rf"|(?<=[{_ENDS_A_LABEL}]{signs}){more}" if several and sign == "*" else ""
    closing = re.compile(rf"{signs}{not_named}(?:{behind}{label})")
    end_of_reach = _END_OF_PARAGRAPH if several and sign != "_" else _END_OF_LINE

    def find(passage: Passage) -> int | None:
        text = passage.text
        if sign * least not in text:
            return None
        begun = opening.search(text)
        while begun:
            reach = end_of_reach.search(text, begun.end())
            until = reach.start() if reach else len(text)
            ended = closing.search(text, begun.end() + 1, until)
            if not ended:
                begun = opening.search(text, until)
                continue
            while nearer := opening.search(text, begun.end(), ended.start()):
                begun = nearer
            if confirm(passage, begun, ended):
                return begun.start()
            begun = opening.search(text, ended.end())
        return None

    return find


_END_OF_LINE, _END_OF_PARAGRAPH = re.compile(r"\n"), re.compile(r"\n[ \t]*\n")


def _between(passage: Passage, opening: re.Match[str], closing: re.Match[str]) -> str:
    return passage.text[opening.end() : closing.start()]


def _is_named(passage: Passage, inner: str) -> bool:
    return passage.field is FieldKind.OPTION and _IDENTIFIER.fullmatch(inner) is not None


def _has_word(passage: Passage, opening: re.Match[str], closing: re.Match[str]) -> bool:
    return any(map(str.isalnum, _between(passage, opening, closing)))


def _is_quoted(passage: Passage, opening: re.Match[str], closing: re.Match[str], quotes: str) -> bool:
    before, after = passage.before(opening.start()), passage.text[closing.end() : closing.end() + 1]
    return bool(before and after) and before in quotes and after in CLOSING_QUOTES


def _bold_by_underscores(passage: Passage, opening: re.Match[str], closing: re.Match[str]) -> bool:
    inner = _between(passage, opening, closing)
    if not any(map(str.isalnum, inner)) or "__" in inner:
        return False
    if _DUNDER.fullmatch(inner) or _is_quoted(passage, opening, closing, "\"'") or _is_named(passage, inner):
        return False
    # On a line of code, or one that writes of Python, any name may have them.
    of_code = is_surely_code(passage.line_at(opening.start()).text) or passage.line_says(
        _OF_PYTHON, opening.start()
    )
    return not (of_code and _IDENTIFIER.fullmatch(inner))


def _italic_by_stars(passage: Passage, opening: re.Match[str], closing: re.Match[str]) -> bool:
    inner = _between(passage, opening, closing)
    if not any(map(str.isalpha, inner)) or (inner[-1].isdigit() and ". " in inner):
        return False  # *Excluding VAT. Two for £5*
    if _is_quoted(passage, opening, closing, "'") or _PRODUCT.match(
        passage.text, max(0, opening.start() - 2)
    ):
        return False  # print('*get*'), a *b* c
    quoted = _is_quoted(passage, opening, closing, OPENING_QUOTES)
    return not (quoted and passage.line_says(_SEARCHES, opening.start()))


def _italic_by_underscores(passage: Passage, opening: re.Match[str], closing: re.Match[str]) -> bool:
    inner = _between(passage, opening, closing)
    if not any(map(str.isalpha, inner)) or _is_quoted(passage, opening, closing, "\"'"):
        return False
    return not (_is_named(passage, inner) or is_code(passage.line_at(opening.start()).text))


def _raised_or_lowered(passage: Passage) -> int | None:
    for sign, pattern in (("~", _LOWERED), ("^", _RAISED)):
        if sign not in passage.text:
            continue
        for each in pattern.finditer(passage.text):
            if re.match("[A-Za-z]", passage.before(each.start())):
                return each.start()
    return None


RULES = (
    MarkupRule(
        "strong",
        "Double signs around words, as for bold type.",
        first_of(
            _pair("*", 2, 3, _has_word),
            _pair("_", 2, 2, _bold_by_underscores),
            matching(_INSIDE, "**"),
            matching(_WIKI_BOLD, "'''"),
        ),
        refused="**Osmosis** is the movement of water.",
        accepted="2**3 = 8 and 3**2 = 9; 2**3**2 is 512",
    ),
    MarkupRule(
        "emphasis",
        "A sign on either side of a word, as for italic type.",
        first_of(_pair("*", 1, 1, _italic_by_stars), _pair("_", 1, 1, _italic_by_underscores)),
        refused="an *important* word",
        accepted="2*(3+4) = 14; (3+4)*2 = 14",
    ),
    MarkupRule(
        "strikethrough",
        "Double tildes around words.",
        _pair("~", 2, 2, _has_word),
        refused="~~old~~ new",
        accepted="~2000~3000 people",
    ),
    MarkupRule(
        "highlight",
        "Double equals signs around words.",
        _pair("=", 2, 2, _has_word),
        refused="==Osmosis== is key",
        accepted="a == b and c == d",
    ),
    MarkupRule(
        "raised_or_lowered",
        "Tildes or carets around the digits of a formula.",
        _raised_or_lowered,
        refused="H~2~O",
        accepted="x^2^3",
    ),
)
