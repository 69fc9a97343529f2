"""Makes text from outside visible, for a terminal or a page.

A producer's name for a job must not move the cursor of an operator's terminal, nor a stored reason end the
command that shows it.
"""


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
    return Shown(text if text.isprintable() else "".join(map(_written_out, text)))


def _written_out(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
