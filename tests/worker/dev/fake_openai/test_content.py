from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import OutputType, output_type, output_types
from tasks.generate.acceptance import accept
from tasks.ports import ModelAnswer
from worker.dev.fake_openai.content import fill, topic_of
from worker.dev.fake_openai.strict_schema import strict_fault

# The last ones would be markup, a list or a new line if they went into an answer as they are.
TOPICS = [
    "Cell division",
    "An Inspector Calls",
    "1. Kräfte & Bewegung",
    "",
    "**bold** _it_ `x` <b>\n# H",
    "x" * 300,
]


def _type(name: str) -> OutputType:
    found = output_type(name)
    assert found
    return found


def _input(topic: str, **fields: Any) -> str:
    document = {"appliesTo": {"subject": "Biology", "topic": topic}, **fields}
    return f"<<<JOB_DATA\n{json.dumps(document, ensure_ascii=False)}\nJOB_DATA>>>"


def _answer(value: Any) -> ModelAnswer:
    return ModelAnswer(text=json.dumps(value), refused=False, truncated=False, usage=None, request_id=None)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("name", output_types())
def test_every_output_type_gets_an_answer_that_is_accepted(name: str, topic: str) -> None:
    output = _type(name)

    assert strict_fault(output.wire) is None
    for slot in range(12):
        accept(output, _answer(fill(output.wire, _input(topic, slotId=f"slot-{slot}"))))


def test_writes_the_same_for_the_same_input_and_varies_with_it() -> None:
    wire = _type("quiz").wire
    written = [
        json.dumps(fill(wire, _input("Cell division", slotId=f"slot-{slot}"))) for slot in (1, 1, 2, 3, 4)
    ]

    assert written[0] == written[1]
    assert len(set(written)) > 1


def test_writes_about_the_topic() -> None:
    assert "Cell division" in fill(_type("text").wire, _input("Cell division"))["value"]


@pytest.mark.parametrize(
    ("input_text", "topic"),
    [
        ('{"subject": "Biology", "input": {"topic": "Osmosis"}}', "Osmosis"),
        ('{"subject": "Biology", "title": "Cells"}', "Cells"),
        ('{"subject": "Biology"}', "Biology"),
        ('{"topic": "Ohm\\u0027s \\"law\\""}', "Ohm's law"),
        ('{"topic": "' + "x" * 81 + '"}', "x" * 80),
        ('{"topic": 7}', "this topic"),
        ('{"topic": "broken \\x"}', "this topic"),
        ("Write about photosynthesis.", "this topic"),
    ],
)
def test_finds_the_topic_in_the_job_data(input_text: str, topic: str) -> None:
    assert topic_of(input_text) == topic


def test_mixes_the_question_types_and_gives_options_to_choices_alone() -> None:
    questions = fill(_type("quiz").wire, _input("Cell division"))["value"]["questions"]

    assert [question["type"] for question in questions][:2] == ["mcq", "short"]
    for question in questions:
        assert bool(question["options"]) == (question["type"] == "mcq")


def test_two_choices_of_a_quiz_do_not_share_their_first_option() -> None:
    quizzes = [
        fill(_type("quiz").wire, _input("Cell division", slotId=f"slot-{slot}"))["value"] for slot in range(9)
    ]
    choices = [[each for each in quiz["questions"] if each["type"] == "mcq"] for quiz in quizzes]
    pairs = [found for found in choices if len(found) == 2]

    assert pairs
    assert all(first["options"][0] != second["options"][0] for first, second in pairs)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": "v1"}, "v1"),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "null"}, None),
        ({"type": "integer", "minimum": 90, "maximum": 90}, 90),
        ({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6}, 5),
        ({"$ref": "#/$defs/a"}, 7),
        ({"anyOf": [{"type": "null"}, {"const": 8}]}, 8),
        ({"type": "array", "items": {"const": 1}, "minItems": 7}, [1] * 7),
        ({"type": "array", "items": {"const": 1}, "maxItems": 1}, [1]),
        ({"type": ["null", "integer"], "minimum": 3, "maximum": 3}, 3),
    ],
)
def test_keeps_to_the_keywords_of_a_schema(schema: dict[str, Any], expected: Any) -> None:
    document = {"type": "object", "properties": {"value": schema}, "$defs": {"a": {"const": 7}}}

    assert fill(document, "") == {"value": expected}


def test_a_long_array_repeats_no_string() -> None:
    texts = fill({"type": "array", "items": {"type": "string"}, "minItems": 30}, "")

    assert len(set(texts)) == 30
