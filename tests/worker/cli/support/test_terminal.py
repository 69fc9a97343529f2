from __future__ import annotations

import json
import re

import pytest

from tasks.operations.visible import Shown, visible
from worker.cli.support.terminal import escaped, fitted, say, styled


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines", r"two\nlines"),
        ("\u202eback", r"\u202eback"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("Grüße, 水", "Grüße, 水"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, seen):
    assert visible(text) == seen


def test_what_is_added_to_shown_text_is_made_visible_from_either_side():
    word = styled("HALTED", "red")

    assert word.startswith("\x1b[")
    assert "\x1b[8m" + word + "\x1b[8m" == r"\x1b[8m" + str(word) + r"\x1b[8m"
    assert isinstance("before " + word, Shown)


def test_colours_that_went_through_a_plain_string_are_written_out():
    assert "\x1b" not in visible(f"{styled('HALTED', 'red')}: by an f-string")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("text", ["Grüße 水 \x1b[8m\x9b\u202e\U000e0041😀", "\ud800", "plain"])
def test_an_escaped_document_says_the_same_in_what_the_stream_can_carry(encoding, text):
    document = json.dumps({text: [text]}, ensure_ascii=False, indent=2)

    said = escaped(document, encoding)

    said.encode(encoding)
    assert said.replace("\n", "").isprintable()
    assert json.loads(said) == {text: [text]}


def test_a_line_is_broken_between_words_and_a_command_in_it_never(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")

    say(
        "  yes  every outcome after the halt is one of 50 % that were asked for",
        "release it again with `slotgen resume --reason now`, or wait",
        "undo: slotgen allowlist push --audit 1-0 --override why",
        styled("PASS", "green") + ": the colours of a word take no room",
    )

    assert visible_lines(capsys) == [
        "  yes  every outcome after the halt is",
        "    one of 50 % that were asked for",
        "release it again with",
        "  `slotgen resume --reason now`, or wait",
        "undo:",
        "  slotgen allowlist push --audit 1-0 --override why",
        "PASS: the colours of a word take no room",
    ]


def test_where_there_is_no_terminal_a_line_is_one_line(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)

    say("word " * 100)

    assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_is_fitted_ends_with_its_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")

    assert fitted("12345678901") == "123456789…"
    assert fitted("1234567890") == "1234567890"


def visible_lines(capsys):
    return re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
