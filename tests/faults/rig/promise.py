"""Compares a figure with what was promised; on a machine that is busy with other things, with some room."""

from __future__ import annotations

# A test that failed whenever its machine was busy would teach people to ignore it: the figure is printed in
# the table of `saw`, and only what no busy machine explains fails.
_ROOM = 5


def within(seen: float, promised: float) -> None:
    """Fail when `seen` is more than five times what was `promised`."""
    assert seen <= _ROOM * promised, f"{seen:g}, and {promised:g} was promised"


def verdict(seen: float, promised: float) -> str:
    """Return whether the promise itself was kept, for the table."""
    return "kept" if seen <= promised else "NOT kept"
