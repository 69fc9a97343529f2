"""A picture of a dashboard says of each panel its value, in its words and colour, or that there is none."""

from __future__ import annotations

import re

import pytest

from tests.monitoring.boards import BOARDS
from tests.monitoring.drawing import FILLS, Window, board_picture

WINDOW = Window(1_785_240_000, 1_785_240_150)


def drawn(title, *series):
    """Return the part of the picture that has the panel, with `series` as (legend, values, one a second)."""
    (panel,) = (each for each in BOARDS["overview"]["panels"] if each["title"] == title)
    data = {
        panel["id"]: [
            (name, [(WINDOW.start + at, value) for at, value in enumerate(values)]) for name, values in series
        ]
    }
    picture = board_picture({"title": "t", "panels": [panel]}, data, [], WINDOW)
    return picture[picture.index("<g ") :]


def said(picture):
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


@pytest.mark.parametrize(
    ("title", "value", "words", "colour"),
    [
        ("Kill switch", 0, "running", "green"),
        ("Kill switch", 1, "HALTED", "red"),
        ("Kill switch", 2, "UNVERIFIED", "red"),
        ("Guard", 1, "BREACHED", "red"),
        ("Admitted jobs COMPLETED", 0.95, "95.0%", "green"),
        ("Admitted jobs COMPLETED", 0.94, "94.0%", "red"),
        ("Admitted jobs COMPLETED", float("nan"), "no jobs", "blue"),
        ("Dead letters", 3, "3", "yellow"),
    ],
)
def test_a_value_is_said_in_the_words_and_colour_of_its_panel(title, value, words, colour):
    picture = drawn(title, ("", [value]))

    assert words in said(picture)
    assert f'fill="{FILLS[colour]}"' in picture


def test_what_has_no_data_says_so():
    picture = drawn("Guard")

    assert "No data" in said(picture)
    assert 'data-points="0"' in picture


def test_a_gap_in_the_data_is_a_gap_in_the_line():
    whole = drawn("Messages waiting", ("messages", [5.0] * 60))
    broken = drawn("Messages waiting", ("messages", [5.0] * 20 + [float("nan")] * 20 + [5.0] * 20))

    assert (whole.count("<polyline"), broken.count("<polyline")) == (1, 2)


def test_a_change_of_state_is_a_change_of_colour():
    picture = drawn("Halted", ("kill switch", [0.0] * 30 + [1.0] * 30))

    assert picture.count('rx="2" fill="#73bf69"') == picture.count('rx="2" fill="#f2495c"') == 1
