"""HTML that only looks different: elements, comments and entities used as markup.

A lesson may write of a tag ("the <p> tag starts a paragraph"), use angle brackets for a placeholder
("Dear <title> <surname>"), or compare (`a<b and c>d`). Used as markup, a tag hugs the words that it marks.
"""

import re

from tasks.plain_text.entities import resolved
from tasks.plain_text.passage import FieldKind, Passage
from tasks.plain_text.rule import MarkupRule, first_of
from tasks.plain_text.signs import CLOSING_QUOTES, OPENING_QUOTES

_ONE_LETTER = re.compile(r"[abipqsu]")
# Also words of the language, and so names of placeholders.
_WORD = re.compile(
    r"abbr|address|area|article|aside|body|button|canvas|caption|center|cite|code|data|details|dialog|dir|figure"
    r"|font|footer|head|header|input|ins|label|legend|main|map|mark|marquee|menu|meter|nav|option|output|param"
    r"|picture|progress|search|section|select|small|source|span|strike|strong|summary|table|textarea|time|title"
    r"|track|var"
)
_SIGN = re.compile(
    r"acronym|bdi|bdo|big|blink|blockquote|br|col|colgroup|datalist|dd|del|dfn|div|dl|dt|em|fieldset|figcaption"
    r"|h[1-6]|hgroup|hr|html|kbd|keygen|li|nobr|ol|optgroup|pre|rp|rt|ruby|samp|sub|sup|tbody|td|tfoot|th|thead|tr"
    r"|tt|ul|wbr"
)
# These mark a place, not words, and need not hug any.
_PLACE = re.compile(r"br|hr|li|wbr")
_TAG = re.compile(r"<(/?)([a-z][^\s/<>]*)([^<>]*)(>?)", re.IGNORECASE)
_CLOSING = re.compile(r"</([a-z][^\s/<>]*)", re.IGNORECASE)
# On any element: these draw or load.
_LOADING_ATTRIBUTE = re.compile(
    r"[\s/\"'](?:style|src|srcdoc|(?:xlink:)?href|formaction|poster|background)\s*=", re.IGNORECASE
)
_ATTRIBUTE = re.compile(r"(?:^|[\s/\"'])[a-z-]+\s*=\s*[\"'\w#/.]", re.IGNORECASE)
_KNOWN_ATTRIBUTE = re.compile(
    r"(?:^|[\s/\"'])(?:(?:data|aria)-[a-z-]+|align|class|dir|height|href|id|lang|name|rel|role|src|style|target|title"
    r"|width)\s*=",
    re.IGNORECASE,
)
_WRITES_OF_TAGS = re.compile(
    r"(?<![\w</!.:&-])(?:tags?|(?:x?ht|x)ml|html5|doctype|browsers?|web ?pages?|hyperlinks?|attributes?"
    r"|balises?|etiquetas?)\b",
    re.IGNORECASE,
)
# In chemistry a word like any other: only beside a tag does it speak of one.
_ELEMENT_BESIDE = re.compile(r"[\"'\u201d\u2019)]? ?element(?:s|os?)?\b", re.IGNORECASE)
_ELEMENT_BEFORE = re.compile(r"\belement(?:s|os?)? ?[\"'\u201c\u2018(]?$", re.IGNORECASE)
_BEFORE_CHARACTERS = 12
_SAYS_OF_IT = re.compile(
    r"[\"'\u201d\u2019)]? (?:is|are|was|means?|makes?|starts?|ends?|shows?|gives?|marks?|stands? for)\b"
)
_BARE_TAG = re.compile(r"(?:</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--[^<>]*-->|<!doctype[^<>]*>)", re.IGNORECASE)
_DECLARATION = re.compile(r"<!--|<!doctype\b|<!entity\b|<!\[cdata\[|<\?(?:xml|php)\b", re.IGNORECASE)
_ESCAPED_TAG = re.compile(r"&(?:lt|#0*60|#x0*3c);/?[a-z]", re.IGNORECASE)
_ENTITY = re.compile(
    r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|nbsp|amp|lt|gt|quot|apos|times|divide|deg|pound|euro|copy|hellip|[nm]dash"
    r"|[lr][sd]quo|[lr]aquo|bull|middot|minus|plusmn|frac1[24]|frac34|sup[123]|[rlud]arr|le|ge|ne|pi|alpha|beta"
    r"|theta|infin|radic|szlig|iexcl|iquest|[a-z](?:acute|grave|circ|uml|tilde|cedil|ring));",
    re.IGNORECASE,
)
_WRITES_OF_ENTITIES = re.compile(
    r"\b(?:entit(?:y|ies)|html|escaped?|codes?|character references?|ampersands?)\b", re.IGNORECASE
)
_TWO_LETTERS = re.compile(r"[^\W\d_]{2}")
_OPENS, _ENDS = OPENING_QUOTES + "(,;:/", CLOSING_QUOTES + ".,;:!?)/"


def _element(passage: Passage) -> int | None:
    text = passage.text
    if "<" not in text or (passage.is_short_answer and _BARE_TAG.fullmatch(text)):
        return None
    closed = {each[1].lower() for each in _CLOSING.finditer(text)}
    return next((each.start() for each in _TAG.finditer(text) if _is_markup(passage, each, closed)), None)


def _escaped_element(passage: Passage) -> int | None:
    escaped = _ESCAPED_TAG.search(passage.text)
    if escaped and _element(Passage(resolved(passage.text), passage.field)) is not None:
        return escaped.start()
    return None


def _is_markup(passage: Passage, tag: re.Match[str], closed: set[str]) -> bool:
    name, attributes = tag[2].lower(), tag[3]
    one_letter, word, sign = (each.fullmatch(name) for each in (_ONE_LETTER, _WORD, _SIGN))
    if not (one_letter or word or sign):
        return _LOADING_ATTRIBUTE.search(attributes) is not None
    if _is_written_of(passage, tag):
        return False
    if tag[1] or name in closed or _KNOWN_ATTRIBUTE.search(attributes):
        return True
    if one_letter:
        return _marks_what_follows(passage.text, tag, name)
    return _ATTRIBUTE.search(attributes) is not None or _is_used(passage, tag, sign=bool(sign))


def _is_written_of(passage: Passage, tag: re.Match[str]) -> bool:
    """Whether it is a word of a sentence on HTML: the <p> tag starts a paragraph."""
    if not _stands_alone(passage, tag) or len(tag[0]) == len(passage.text):
        return False
    text, begin = passage.text, tag.start()
    return bool(
        _SAYS_OF_IT.match(text, tag.end())
        or _ELEMENT_BESIDE.match(text, tag.end())
        or _ELEMENT_BEFORE.search(text[max(0, begin - _BEFORE_CHARACTERS) : begin])
        or passage.line_says(_WRITES_OF_TAGS, begin)
    )


def _is_used(passage: Passage, tag: re.Match[str], *, sign: bool) -> bool:
    """Whether an opening tag of several letters, without attributes or its end, is no placeholder."""
    if not tag[4] or tag[3].strip(" \t\n/"):
        return bool(tag[4]) and sign  # <address of the school>
    if not _stands_alone(passage, tag):
        return not _is_type_argument(passage, tag)
    begins_its_line = not passage.text[max(0, tag.start() - 2) : tag.start()].strip(" ").strip("\n")
    return sign and (begins_its_line or _PLACE.fullmatch(tag[2].lower()) is not None)


def _stands_alone(passage: Passage, tag: re.Match[str]) -> bool:
    """Whether the tag is a word by itself, and does not hug what it would mark."""
    before, after = passage.before(tag.start()), passage.text[tag.end() : tag.end() + 1]
    return (not before or before.isspace() or before in _OPENS) and (
        not after or after.isspace() or after in _ENDS
    )


def _is_type_argument(passage: Passage, tag: re.Match[str]) -> bool:
    """Whether it is as in `List<Label>`, or the name of a group in a pattern: `(?P<data>`."""
    if passage.text.startswith("?P", max(0, tag.start() - 2)):
        return True
    return passage.before(tag.start()).isalnum() and tag[2].istitle() and tag[2].lower() not in {"br", "hr"}


def _marks_what_follows(text: str, tag: re.Match[str], name: str) -> bool:
    """Whether an opening tag of one letter, without its end, marks a word: `<b>bold`, not `<p> = mv`."""
    if not tag[4] or tag[3].strip(" \t\n/"):
        return False
    before, after = text[max(0, tag.start() - 2) : tag.start()], text[tag.end() : tag.end() + 2]
    a_word_follows = _TWO_LETTERS.fullmatch(after) is not None
    if before[-1:].isalnum():  # q<p>r compares; Cells<p>are does not
        return a_word_follows and _TWO_LETTERS.fullmatch(before) is not None
    if name == "p":
        return bool(after.strip()) and (not after[0].isspace() or after[1:].isupper())
    return a_word_follows


def _html_declaration(passage: Passage) -> int | None:
    if "<!" not in passage.text and "<?" not in passage.text:
        return None
    if passage.is_short_answer and _BARE_TAG.fullmatch(passage.text):
        return None
    for each in _DECLARATION.finditer(passage.text):
        at = each.start()
        if not (passage.before(at).isspace() and passage.line_says(_WRITES_OF_TAGS, at, before=True)):
            return at
    return None


def _html_entity(passage: Passage) -> int | None:
    if "&" not in passage.text or (passage.field is FieldKind.OPTION and " " not in passage.text):
        return None
    found = (each.start() for each in _ENTITY.finditer(passage.text))
    return next((at for at in found if not passage.line_says(_WRITES_OF_ENTITIES, at)), None)


RULES = (
    MarkupRule(
        "html_element",
        "Tags of HTML that mark the words beside them.",
        first_of(_element, _escaped_element),
        refused="<b>bold</b>",
        accepted="If a<b and c>d, add the inequalities.",
    ),
    MarkupRule(
        "html_declaration",
        "Comments and declarations that only a page's source has.",
        _html_declaration,
        refused="<!-- note -->Cells are small.",
        accepted="In HTML a comment is written <!-- like this -->.",
    ),
    MarkupRule(
        "html_entity",
        "Characters written as HTML writes them, in a text that is not about that.",
        _html_entity,
        refused="caf&eacute;",
        accepted="The entity &amp; shows an ampersand.",
    ),
)
