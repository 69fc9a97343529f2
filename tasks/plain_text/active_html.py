"""HTML that does something: it runs, loads, embeds or redirects as soon as a page shows it.

A browser mends nearly everything: tags without an end, slashes for blanks, attributes run together, code
written as entities, comments that end early. So these rules do not follow the tokeniser's states, which can
be led astray by a quotation mark before them. They ask less and so find more: does a name of an active
element follow a `<`; does what looks like an event handler, or a URL that is code, follow any `<` with a
letter? Whatever a tokeniser takes for such an element or attribute has that form; a test holds them to a
real parser.
"""

import re

from tasks.plain_text.entities import resolved
from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import MarkupRule

_NAMES = (
    "script|iframe|frame|frameset|fencedframe|portal|svg|math|img|image|object|embed|applet"
    "|template|noscript|noembed|noframes|xmp|plaintext"
)
# Also words of a lesson (hand in the <form>), and harmless until an attribute says what to load or where to
# send it, or there is a style sheet.
_NAMES_THAT_ARE_WORDS = "audio|video|bgsound|style|link|meta|base|form|isindex|layer|ilayer"
# `<script.py>` is a file's name and `<image-name>` a placeholder; HTML too has no such elements.
_ACTIVE = re.compile(rf"<(?:/?(?:{_NAMES})|\s*(?:/\s*)?(?:script|iframe))(?![\w.:@-])", re.IGNORECASE)
_PERHAPS_ACTIVE = re.compile(rf"<(/?)({_NAMES_THAT_ARE_WORDS})(?![\w.:@-])", re.IGNORECASE)
_VALUE_OR_END = re.compile("[=>]")
# `List<Object>`: an element without attributes, which embeds nothing, and in a lesson a type.
_TYPE_ARGUMENT = re.compile(r"(?<=\w)<Object>")
_TAG_START = re.compile(r"<[a-z]", re.IGNORECASE)
_HANDLER = re.compile(r"(?<![a-z])(on[a-z]+)\s*=", re.IGNORECASE)
# Without a value it does nothing, and is one all the same.
_BARE_HANDLER = re.compile(
    r"<[a-z][^<>]*[\s/]on(?:abort|animation[a-z]+|auxclick|before[a-z]+|begin|blur|change|click|contextmenu|copy|cut"
    r"|dblclick|drag[a-z]*|drop|ended|error|focus(?:in|out)?|hashchange|input|invalid|key(?:down|press|up)|load[a-z]*"
    r"|message|mouse[a-z]+|page(?:hide|show)|paste|play|pointer[a-z]+|popstate|repeat|reset|resize|scroll|search"
    r"|select|submit|toggle|touch[a-z]+|transition[a-z]+|unload|wheel)(?![\w-])",
    re.IGNORECASE,
)
# Words that follow a comparison: `if a<b and only = 1`. No event is called so.
_NO_HANDLER = re.compile(
    r"on(?:|e|es|ce|ly|to|ion|ions|line|set|ward|wards|going|t|ze|de|da|kel)", re.IGNORECASE
)
_CODE_URL = re.compile(
    r"(?:java|vb|live)script:(?!\s)|=[\x00-\x20\"'`]*(?:(?:java|vb|live)script:|data:)", re.IGNORECASE
)
_NOT_IN_A_URL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"&(?:lt|#0*60|#x0*3c)(?![0-9a-z])|[\uff1c\ufe64]|\\u003c|\\x3c|%3c", re.IGNORECASE)
_CODE_FOR_LESS = re.compile(r"\\u003c|\\x3c|%3c", re.IGNORECASE)
_WIDE = str.maketrans("\uff1c\ufe64\uff1e\ufe65", "<<>>")


def _active_html(passage: Passage) -> int | None:
    text = passage.text
    may_be_escaped = "&" in text or "%" in text or "\\" in text or not text.isascii()
    escaped = _ESCAPED.search(text) if may_be_escaped else None
    if escaped and _active_in(_CODE_FOR_LESS.sub("<", resolved(text)).translate(_WIDE)) is not None:
        # Shown as it stands it does nothing; unescaped once too often it does.
        return escaped.start()
    return _active_in(text)


def _active_in(text: str) -> int | None:
    if "<" not in text:
        return None
    for each in _ACTIVE.finditer(text):
        if not _TYPE_ARGUMENT.match(text, each.start()):
            return each.start()
    used = _used_in(text)
    if used is not None:
        return used
    tag = _TAG_START.search(text)
    if not tag:
        return None
    for each in _HANDLER.finditer(text, tag.end()):
        if not _NO_HANDLER.fullmatch(each[1]):
            return each.start()
    bare = _BARE_HANDLER.search(text)
    return bare.start() if bare else None


def _used_in(text: str) -> int | None:
    """Find one of the names that are words where it has an attribute, is closed or holds a style sheet."""
    tag = _PERHAPS_ACTIVE.search(text)
    last_of_a_style_sheet = max(text.rfind("{"), text.rfind("@")) if tag else -1
    while tag:
        if tag[1] or (tag[2].lower() == "style" and tag.end() <= last_of_a_style_sheet):
            return tag.start()
        ended = _VALUE_OR_END.search(text, tag.end())
        if ended and ended[0] == "=":
            return tag.start()
        # Whatever else begins before the `>` has no value either.
        tag = _PERHAPS_ACTIVE.search(text, ended.end()) if ended else None
    return None


def _code_url(passage: Passage) -> int | None:
    text = passage.text
    bare = _CODE_URL.search(text) if _names_code(text) else None
    if bare and (not bare[0].startswith("=") or _TAG_START.search(text, 0, bare.start())):
        return bare.start()
    tag = _TAG_START.search(text)
    if not tag:
        return None
    # As a browser reads a URL: entities resolved, tabs, line ends and leading controls left out.
    read = _NOT_IN_A_URL.sub("", resolved(text[tag.start() :]))
    return tag.start() if _names_code(read) and _CODE_URL.search(read) else None


def _names_code(text: str) -> bool:
    lowered = text.lower()
    return "script:" in lowered or "data:" in lowered


RULES = (
    MarkupRule(
        "active_html",
        "A page that shows it would run it, load it or embed it.",
        _active_html,
        refused="<script>alert(1)</script>",
        accepted="If a<b and only = 1, stop.",
    ),
    MarkupRule(
        "script_url",
        "A link to it runs code in place of opening a page.",
        _code_url,
        refused='<a href="java&#9;script:alert(1)">link</a>',
        accepted="JavaScript: a language for web pages.",
    ),
)
