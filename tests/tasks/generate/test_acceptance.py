"""Which answers are accepted, and what is said of those that are not."""

from __future__ import annotations

import json

import pytest

from schemas import output_type
from tasks.errors import ErrorCode, Failed
from tasks.generate.acceptance import PolicyViolation, accept, acceptable, policy_violations
from tasks.ports import NOT_JUDGED
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
    infos = [
        {"id": f"c{each}", "front": "Front", "back": "Back", "tags": ["cells"], "difficulty": 1}
        for each in range(3)
    ]
    infos[2]["back"] = "**Back**"
    flashcards = output_type("flashcards")
    assert flashcards

    with pytest.raises(Failed) as failure:
        accept(flashcards, answer(text=json.dumps({"value": infos})))

    assert failure.value.code is ErrorCode.OUTPUT_POLICY_VIOLATION
    assert failure.value.detail == "output[2].back: strong on line 1"


def test_names_five_things_at_most():
    infos = [
        {"id": f"c{each}", "front": "**Front**", "back": "Back", "tags": ["cells"], "difficulty": 1}
        for each in range(7)
    ]
    flashcards = output_type("flashcards")
    assert flashcards

    with pytest.raises(Failed) as failure:
        accept(flashcards, answer(text=json.dumps({"value": infos})))

    assert failure.value.detail == "; ".join(f"output[{each}].front: strong on line 1" for each in range(5))
    assert failure.value.rule == "strong"


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


UNKNOWN = "; if the server knows no moderation, remove it from the executor config"


@pytest.mark.parametrize(
    ("given", "code", "detail"),
    [
        (
            answer(refused=True, flagged={"input": ["hate", "violence"]}),
            "CONTENT_FLAGGED",
            "input: hate, violence",
        ),
        (
            answer(flagged={"input": ["hate"], "output": [NOT_JUDGED]}),
            "CONTENT_FLAGGED",
            f"input: hate; output: {NOT_JUDGED}{UNKNOWN}",
        ),
        (answer(refused=True), "OUTPUT_REFUSED", "the model refused"),
        (answer(truncated=True), "OUTPUT_TRUNCATED", "the answer ended early; raise maxOutputTokens"),
        (answer(text=None), "OUTPUT_TRUNCATED", "the answer ended early; raise maxOutputTokens"),
        (
            answer(text="Here: {"),
            "OUTPUT_NOT_JSON",
            "the answer is not JSON (line 1, column 1); mend the syntax there",
        ),
        (answer(text="[]"), "OUTPUT_SCHEMA_INVALID", "the answer is not an object with just `value`"),
        (answer(text="{}"), "OUTPUT_SCHEMA_INVALID", "the answer is not an object with just `value`"),
        (
            answer(text='{"value": "a cell", "more": 1}'),
            "OUTPUT_SCHEMA_INVALID",
            "the answer is not an object with just `value`",
        ),
        (
            answer(value=7),
            "OUTPUT_SCHEMA_INVALID",
            "the document: is a number, not a string; use text that is not blank (1 to 20000 characters)",
        ),
        (answer(value="# A title"), "OUTPUT_POLICY_VIOLATION", "output: heading on line 1"),
    ],
)
def test_says_what_is_wrong_with_an_answer_that_cannot_be_used(given, code, detail):
    text = output_type("text")
    assert text

    with pytest.raises(Failed) as failure:
        accept(text, given)

    assert (failure.value.code, failure.value.detail) == (code, detail)


def test_says_which_rule_an_answer_breaks_and_of_no_other_failure_that_it_does():
    text = output_type("text")
    assert text

    for given, rule in ((answer(value="# A title"), "heading"), (answer(value=7), None)):
        with pytest.raises(Failed) as failure:
            accept(text, given)
        assert failure.value.rule == rule


@pytest.mark.parametrize(("bytes_over", "accepted"), [(0, True), (1, False)])
def test_an_answer_has_at_most_four_mebibytes(bytes_over, accepted):
    text = output_type("text")
    assert text
    given = answer(text=json.dumps({"value": "A cell."}).ljust(4 * 1024 * 1024 + bytes_over))

    if accepted:
        assert accept(text, given) == "A cell."
    else:
        with pytest.raises(Failed, match="OUTPUT_NOT_JSON"):
            accept(text, given)


@pytest.mark.parametrize(("value", "trusted"), [("A cell.", True), (7, False), ("# A title", False)])
def test_a_stored_answer_is_held_to_the_same_rules(value, trusted):
    text = output_type("text")
    assert text

    assert acceptable(text, value) is trusted


def test_a_value_that_is_a_list_of_texts_is_read_as_one():
    paragraphs = ["Plants have\nthree parts.", "- a cell wall", "- a vacuole", "- chloroplasts"]

    assert list(policy_violations(paragraphs)) == [PolicyViolation("output[1]", "bullet_list", 1)]
