"""Characters that no lesson has: they are not seen, or they change how others are seen.

The joiners, marks and selectors of real scripts and of emoji are let through where they stand as those
scripts use them.
"""

import re
import unicodedata

from tasks.plain_text.passage import Passage
from tasks.plain_text.rule import Find, MarkupRule, matching

_MOST_MARKS = 8  # Hebrew with vowels and accents has five on one letter, Vedic Sanskrit four

# Carriage returns are refused too: JSON needs none, and a lone one lets a line write over itself.
# U+2028 and U+2029 end a line for some readers and not for others.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069\n]")
_TAG = re.compile("[\U000e0000-\U000e007f]")
# England, Scotland and Wales; no other flags are written so.
_FLAG = re.compile(
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
_EMPTY_DIRECTION = re.compile(r"[\u202a\u202b\u2066-\u2068]\s*[\u202c\u2069]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e0fff]"
)
# No letter, no digit, no blank, beyond Latin: where a run of combining marks can be.
_PERHAPS_MARKS = re.compile(rf"[^\w\s\x00-\u02ff]{{{_MOST_MARKS + 1},}}")

_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# Scripts whose letters join or stack: Arabic, Syriac, N'Ko and their kin, those of India, Tibetan, Burmese,
# Khmer, Mongolian.
_JOINING = re.compile(
    "[\u0600-\u061b\u061d-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1a20-\u1aaf\u1b00-\u1cff\ua840-\uabff\ufb50-\ufdff"
    "\ufe70-\ufefc\U00010d00-\U00011fff\U0001e900-\U0001e95f]"
)
_SPACELESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\uaadf]"
)
_MONGOLIAN = re.compile("[\u1800-\u180a\u1810-\u18af]")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HEBREW = re.compile("[\u0590-\u05ff]")
_BRAILLE = re.compile("[\u2801-\u28ff]")
# The script that a sign may stand beside.
_BESIDE = {"\u200b": _SPACELESS, "\u034f": _HEBREW, "\u2800": _BRAILLE}
_BESIDE |= dict.fromkeys("\u180b\u180c\u180d\u180e\u180f", _MONGOLIAN)

_OPENS_ISOLATE = "\u2066\u2067\u2068"
_OPENS_EMBEDDING = "\u202a\u202b"
_OVERRIDES = "\u202d\u202e"
_CLOSES = {"\u2069": _OPENS_ISOLATE, "\u202c": _OPENS_EMBEDDING}


def _unless_printable(find: Find) -> Find:
    return lambda passage: None if passage.is_printable else find(passage)


def _beyond_ascii(find: Find) -> Find:
    return lambda passage: None if passage.text.isascii() else find(passage)


def _bidi_control(passage: Passage) -> int | None:
    """Find an override, what is not closed on its line, what closes nothing and what holds nothing."""
    empty = matching(_EMPTY_DIRECTION)(passage)
    if empty is not None:
        return empty
    opened: list[tuple[str, int]] = []
    for each in _BIDI.finditer(passage.text):
        sign = each[0]
        if sign == "\n":
            if opened:
                break
        elif sign in _OVERRIDES:
            return each.start()
        elif sign not in _CLOSES:
            opened.append((sign, each.start()))
        elif not opened or opened.pop()[0] not in _CLOSES[sign]:
            return each.start()
    return opened[0][1] if opened else None


def _tag_character(passage: Passage) -> int | None:
    flags = {at for flag in _FLAG.finditer(passage.text) for at in range(*flag.span())}
    return next((each.start() for each in _TAG.finditer(passage.text) if each.start() not in flags), None)


def _invisible_character(passage: Passage) -> int | None:
    text = passage.text
    found = [each.start() for each in _INVISIBLE.finditer(text)]
    right_to_left = bool(found and _RIGHT_TO_LEFT.search(text))
    return next(
        (at for at in found if not _stands_as_its_script_has_it(text, at, right_to_left=right_to_left)), None
    )


def _stands_as_its_script_has_it(text: str, at: int, *, right_to_left: bool) -> bool:
    sign, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if sign in "\u200c\u200d":
        joins = bool(_JOINING.match(before) or _JOINING.match(after))
        return joins or (sign == "\u200d" and _is_emoji(before) and _is_emoji(after))
    if sign in "\u200e\u200f\u061c":
        return right_to_left and not _INVISIBLE.match(after)
    if "\ufe00" <= sign <= "\ufe0f":
        return bool(before) and _takes_variant(before, emoji_style=sign >= "\ufe0e")
    if sign == "\u00ad":
        return text[max(0, at - 2) : at].isalpha() and text[at + 1 : at + 3].isalpha()
    if "\U000e0100" <= sign <= "\U000e01ef":
        return bool(_IDEOGRAPH.match(before))
    script = _BESIDE.get(sign)
    return bool(script and (script.match(before) or script.match(after)))


def _is_emoji(sign: str) -> bool:
    if not sign:
        return False
    return sign == "\ufe0f" or "\U0001f000" <= sign <= "\U0001faff" or unicodedata.category(sign) == "So"


def _takes_variant(sign: str, *, emoji_style: bool) -> bool:
    """Whether a variation selector may follow: ideographs, Asian letters, signs of mathematics, emoji."""
    if _IDEOGRAPH.match(sign) or _JOINING.match(sign) or unicodedata.category(sign) == "Sm":
        return True
    return (
        emoji_style
        and (sign in "0123456789#*\u203c\u2049\u3030\u303d" or _is_emoji(sign))
        and sign != "\ufe0f"
    )


def _stacked_marks(passage: Passage) -> int | None:
    for each in _PERHAPS_MARKS.finditer(passage.text):
        length = 0
        for at, sign in enumerate(each[0], each.start()):
            length = length + 1 if unicodedata.category(sign) in {"Mn", "Me"} else 0
            if length > _MOST_MARKS:
                return at - length + 1
    return None


RULES = (
    MarkupRule(
        "control_character",
        "Control characters steer terminals and files; text has no use for any but newline and tab.",
        _unless_printable(matching(_CONTROL)),
        refused="Cells\x00 are small.",
        accepted="one\n\ttwo",
    ),
    MarkupRule(
        "lone_surrogate",
        "Half of a surrogate pair is no character and cannot be written as UTF-8.",
        _unless_printable(matching(_SURROGATE)),
        refused="half \ud83d of one",
        accepted="whole \U0001f600",
    ),
    MarkupRule(
        "noncharacter",
        "These code points are set aside for programs and never stand for a character.",
        _unless_printable(matching(_NONCHARACTER)),
        refused="x\ufdd0",
        accepted="x\ufffd",
    ),
    MarkupRule(
        "bidi_control",
        "An override, or an isolate or embedding left open, shows text in another order than it has.",
        _unless_printable(_bidi_control),
        refused="user\u202etxt.exe",
        accepted="The word \u2067\u05e9\u05dc\u05d5\u05dd\u2069 means peace.",
    ),
    MarkupRule(
        "tag_character",
        "Tag characters are not shown and can hide a text within a text; flags alone use them.",
        _unless_printable(_tag_character),
        refused="a\U000e0041\U000e0042",
        accepted="\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    ),
    MarkupRule(
        "invisible_character",
        "Padding that is not seen makes equal texts differ and hides words from a search.",
        _beyond_ascii(_invisible_character),
        refused="pass\u200bword",
        accepted="\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ),
    MarkupRule(
        "stacked_marks",
        "More combining marks on one letter than any script has paint over the lines above and below.",
        _beyond_ascii(_stacked_marks),
        refused="Z" + "\u0301" * 9,
        accepted="Vie\u0302\u0323t",
    ),
)
