"""Every screen of an operator is as it was when somebody last looked at it: 80 and 120 columns wide."""

from __future__ import annotations

import pytest

from tests.worker.cli.screens.night import FOLDER, REFERENCE, ROWS, WIDTHS, play, screens


@pytest.mark.parametrize("width", WIDTHS)
def test_the_screens_are_those_that_were_looked_at(width):
    said = screens(play(width))

    seen = screens((FOLDER / f"{width}.txt").read_text("utf-8"))
    assert list(said) == list(seen)
    # After a change that is meant: python -m tests.worker.cli.screens, and look at the difference.
    assert {each: lines for each, lines in said.items() if lines != seen[each]} == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_no_screen_breaks_a_line_or_scrolls(width):
    for name, lines in screens((FOLDER / f"{width}.txt").read_text("utf-8")).items():
        assert [each for each in lines if len(each) > width and "slotgen " not in each] == [], name
        assert len(lines) <= ROWS or name.partition(" ")[2] in REFERENCE, name
