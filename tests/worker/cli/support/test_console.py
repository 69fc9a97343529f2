"""Text from anywhere is drawn whole: wrapped where it is long, written out where it cannot be seen."""

from __future__ import annotations

import io

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from worker.cli.support.console import ContentConsole, words

LONG = "one two three four five six seven eight nine ten eleven twelve"


def drawn(renderable, width=30):
    console = ContentConsole(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def in_a_table(text):
    table = Table("head", box=None)
    table.add_row(text)
    return table


@pytest.mark.parametrize("place", [lambda text: text, words, Panel, in_a_table])
def test_a_long_text_is_wrapped_and_nothing_of_it_is_lost(place):
    said = drawn(place(LONG))

    assert "\\n" not in said
    assert [word for word in said.split() if word.isalpha() and word != "head"] == LONG.split()


@pytest.mark.parametrize("place", [lambda text: text, words, Text, Panel, in_a_table])
def test_what_cannot_be_seen_is_written_out_on_the_line_where_it_stands(place):
    assert r"a\nb\x1b[31mc" in drawn(place("a\nb\x1b[31mc"), width=60)
