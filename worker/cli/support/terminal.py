"""Shows what others wrote: names and ids may hold what a terminal would obey."""

from __future__ import annotations


def escape_control(text: str) -> str:
    """Return `text` with its control characters written out."""
    # A producer's name for a job must not move the cursor of an operator's terminal.
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
