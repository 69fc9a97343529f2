"""Spans of time in words."""

from __future__ import annotations

import pytest

from tasks.operations.timefmt import ago, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (899, "14 min"),
        (3600, "1 h"),
        (11_100, "3 h 5 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 9, "9 d"),
    ],
)
def test_a_span_has_one_unit_and_two_beyond_an_hour(seconds, words):
    assert span(seconds) == words


def test_ago_takes_milliseconds():
    assert ago(125_000) == "2 min ago"
    assert ago(999) == "just now"
