"""Spans of time in words."""

from __future__ import annotations

import pytest

from tasks.operations.timefmt import ago, counted, milliseconds, span


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


@pytest.mark.parametrize(
    ("number", "of", "words"),
    [
        (1, None, "1 worker"),
        (2, None, "2 workers"),
        (0, None, "0 workers"),
        (1, 1, "1 of 1 worker"),
        (1, 3, "1 of 3 workers"),
    ],
)
def test_what_is_counted_agrees_with_its_number(number, of, words):
    assert counted(number, "worker", of=of) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0.4, "0 ms"), (999.4, "999 ms"), (999.6, "1.0 s"), (72_345, "72.3 s")]
)
def test_what_took_longer_than_a_second_is_said_in_seconds(number, words):
    assert milliseconds(number) == words
