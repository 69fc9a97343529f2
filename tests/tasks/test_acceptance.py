"""Which strings count as Markdown, and which are just how people write."""

from __future__ import annotations

import json

import pytest

from schemas import output_type
from tasks.acceptance import accept, has_markdown
from tasks.errors import ErrorCode, Failed
from tests.fakes.ports import answer


@pytest.mark.parametrize(
    "text",
    [
        "# Cells",
        "Cells\n=====",
        "a **bold** claim",
        "an *important* word",
        "some `code`",
        "```\ncode\n```",
        "[link](https://example.org)",
        "![image](cell.png)",
        "- one\n- two",
        "* one",
        "1. one\n2. two",
        "> quoted",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "<b>bold</b>",
        "line<br>line",
        "above\n\n---\n\nbelow",
        "~~gone~~",
        "<https://example.org>",
    ],
)
def test_sees_markdown_and_html(text):
    assert has_markdown(text)


@pytest.mark.parametrize(
    "text",
    [
        "A cell has a membrane.",
        "Two paragraphs.\n\nBoth plain.",
        "2*3*4 = 24",
        "a * b * c",
        "snake_case_name and another_one",
        "5 < 7 and 7 > 5",
        "x < y > z",
        "1945. The war ended.",
        "Temperatures fell to -5 degrees.",
        "He said: “yes” – and left.",
        "50% of £3.20 & more",
        "    An indented line.",
        "H2O → H⁺ + OH⁻",
        "C# and F# are notes, too",
        "",
    ],
)
def test_leaves_plain_prose_alone(text):
    assert not has_markdown(text)


def test_finds_markdown_in_the_depths_of_a_value_and_names_the_path():
    cards = [
        {"id": f"c{each}", "front": "Front", "back": "Back", "tags": ["cells"], "difficulty": 1}
        for each in range(3)
    ]
    cards[2]["back"] = "**Back**"
    flashcards = output_type("flashcards")
    assert flashcards

    with pytest.raises(Failed) as failure:
        accept(flashcards, answer(text=json.dumps({"value": cards})))

    assert failure.value.code is ErrorCode.OUTPUT_POLICY_VIOLATION
    assert "output[2].back" in failure.value.detail


def test_refuses_a_correct_answer_that_is_no_option():
    choice = output_type("choiceOptions")
    assert choice
    value = {
        "question": "Which part of a cell holds its DNA?",
        "options": ["Nucleus", "Membrane", "Ribosome", "Vacuole"],
        "correctAnswer": "The nucleus",
        "explanation": "The nucleus holds the chromosomes.",
    }

    with pytest.raises(Failed) as failure:
        accept(choice, answer(value=value))

    assert failure.value.code is ErrorCode.OUTPUT_SCHEMA_INVALID
    assert accept(choice, answer(value=value | {"correctAnswer": "Nucleus"}))


def test_the_detail_of_a_refusal_never_quotes_the_answer():
    text = output_type("text")
    assert text

    with pytest.raises(Failed) as failure:
        accept(text, answer(value={"secret-4711": "secret-4712"}))

    assert "secret" not in str(failure.value)
