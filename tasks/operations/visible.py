"""Makes text from outside visible, for a terminal or a page.

A producer's name for a job must not move the cursor of an operator's terminal, nor a stored reason end the
command that shows it.
"""

import re

# Python takes these for printable, and no terminal shows them: fillers, blanks that are letters, variants.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)


class Shown(str):
    """Text that a terminal may be given as it is; what is added to it is made visible first.

    As markupsafe's Markup is for a page. An f-string makes a plain string of it, whose colours are then
    written out: add instead.
    """

    __slots__ = ()

    def __add__(self, other: str) -> "Shown":
        """Return both, `other` made visible."""
        return Shown(super().__add__(visible(other)))

    def __radd__(self, other: str) -> "Shown":
        """Return both, `other` made visible."""
        return visible(other) + self


def visible(text: str) -> Shown:
    """Return `text` as one line, in which what cannot be seen, a newline too, is written out."""
    if isinstance(text, Shown):
        return text
    return Shown(text if is_seen(text) else "".join(map(_written_out, text)))


def is_seen(text: str) -> bool:
    """Return whether each character of `text` can be seen."""
    return text.isprintable() and (text.isascii() or not _UNSEEN.search(text))


def _written_out(character: str) -> str:
    return character if is_seen(character) else character.encode("unicode_escape").decode()
