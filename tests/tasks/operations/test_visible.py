"""What cannot be seen is written out, and nothing else is."""

from __future__ import annotations

import pytest

from tasks.operations.visible import is_seen, visible


@pytest.mark.parametrize(
    "sign", "\u034f\u115f\u17b4\u180b\u2800\u3164\ufe00\uffa0\U000e0100\u200b\u202e\x1b\n"
)
def test_what_no_terminal_shows_is_written_out(sign):
    said = visible(f"ann{sign}")

    assert said.startswith("ann\\")
    assert said.isascii()
    assert not is_seen(sign)


@pytest.mark.parametrize("text", ["José", "Größe", "नमस्ते", "שָׁלוֹם", "日本語", "a b", "❤\ufe0f"])
def test_what_can_be_seen_stays(text):
    assert visible(text) == text
