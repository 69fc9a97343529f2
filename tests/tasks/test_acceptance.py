"""Which answers are accepted, and what is said of those that are not."""

from __future__ import annotations

import json

import pytest

from schemas import output_type
from tasks.acceptance import PolicyViolation, accept, policy_violations
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
        "* one\n* two",
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
    assert list(policy_violations(text))


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
        "* one",
        "1. one\n2. two",
        "",
    ],
)
def test_leaves_plain_prose_alone(text):
    assert not list(policy_violations(text))


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
    assert failure.value.detail == "output[2].back: strong on line 1"


def test_names_every_string_that_is_not_plain_with_its_rule_and_its_line():
    value = {"question": "Which\nis `x`?", "options": ["# a", "**b**"], "explanation": "It is # a."}

    assert list(policy_violations(value)) == [
        PolicyViolation("output.question", "inline_code", 2),
        PolicyViolation("output.options[1]", "strong", 1),
    ]


@pytest.mark.parametrize("name", ["options", "correctAnswer", "tags", "id"])
def test_a_short_answer_may_be_a_sign_of_its_subject(name):
    assert not list(policy_violations({name: "# A title"}))
    assert not list(policy_violations({name: ["__main__", "# A title", "> five times"]}))
    assert list(policy_violations({"question": "# A title"}))


def test_paragraphs_are_read_together_and_the_path_names_the_one():
    value = {"paragraphs": ["Plants have\nthree parts.", "- a cell wall", "- a vacuole", "- chloroplasts"]}

    assert list(policy_violations(value)) == [PolicyViolation("output.paragraphs[1]", "bullet_list", 1)]
    value["paragraphs"] = ["Plants have\nthree parts.", "", "One more\nthing:\n**bold**", "The end."]
    assert list(policy_violations(value)) == [PolicyViolation("output.paragraphs[2]", "strong", 3)]


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
