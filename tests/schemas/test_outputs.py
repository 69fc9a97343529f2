import copy

import pytest

import schemas
from tests.schemas.judge import FOLDER, examples, replaced

TYPES = ("choiceOptions", "flashcards", "quiz", "revision", "richText", "text")


def example(name):
    return copy.deepcopy(examples(f"outputs/{name}.v1")[0])


def test_the_types_are_the_files_of_the_folder():
    assert schemas.output_types() == TYPES
    assert {file.name.split(".")[0] for file in (FOLDER / "outputs").glob("*.json")} == set(TYPES)


def test_string_is_an_alias_of_text():
    assert schemas.output_type("string") is schemas.output_type("text")
    assert "string" not in schemas.output_types()


@pytest.mark.parametrize("name", ["", "Text", "markdown", "text.v1", "outputs/text.v1", "../job"])
def test_an_unknown_type_is_none(name):
    assert schemas.output_type(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("flashcard", "is flashcard, which is no output type; did you mean flashcards?"),
        ("FlashCards", "is FlashCards, which is no output type; did you mean flashcards?"),
        ("strings", "is strings, which is no output type; did you mean string?"),
        ("poem", f"is poem, which is no output type; use one of {', '.join(TYPES)}"),
        ("a pupil's words", f"is no output type; use one of {', '.join(TYPES)}"),
    ],
)
def test_what_no_type_has_gets_the_name_that_it_was_meant_to_be_and_is_shown_only_if_it_is_a_name(name, said):
    assert schemas.unknown_output_type(name) == said


@pytest.mark.parametrize("name", TYPES)
def test_a_type_accepts_its_example_and_describes_itself(name):
    found = schemas.output_type(name)

    assert found.name == name
    assert found.description == found.schema["description"]
    assert found.violations(example(name)) == []


def info(number, **changes):
    return {"id": f"c{number}", "front": "f", "back": "b", "tags": ["t"], "difficulty": 1} | changes


def question(number, **changes):
    return example("quiz")["questions"][0] | {"id": f"q{number}"} | changes


REFUSED = [
    ("text", (), ["", "  ", "\u200b", "a" * 20_001, None, {"value": "a"}]),
    ("richText", ("paragraphs",), [[], [""], ["a"] * 51, ["a", None], "a", ["a" * 5001]]),
    ("choiceOptions", ("options",), [["Water"] * 4, ["Water", "a", "b"], ["Water", "a", "b", "c", "d"], []]),
    ("choiceOptions", ("correctAnswer",), ["water", "Water ", "", None]),
    ("choiceOptions", ("explanation",), [" ", None]),
    ("flashcards", (), [[], [info(1), info(2)], [info(n) for n in range(9)], [info(1), info(1), info(2)]]),
    ("flashcards", (1, "difficulty"), [0, 4, 1.5, "1"]),
    ("flashcards", (1, "tags"), [[], ["t"] * 9, [""], "t"]),
    ("quiz", ("timeSeconds",), [9, 7201, 60.5]),
    (
        "quiz",
        ("questions",),
        [[], [question(1)], [question(n) for n in range(6)], [question(1), question(1)]],
    ),
    (
        "quiz",
        ("questions", 0, "options"),
        [[], ["Water"], ["Water", "Water"], ["Water", *"abcdef"], ["a", "b"]],
    ),
    ("quiz", ("questions", 1, "options"), [["It is partially permeable."], ["a", "b"]]),
    ("quiz", ("questions", 0, "type"), ["short", "exam", "essay"]),
    ("quiz", ("questions", 1, "type"), ["mcq"]),
    ("quiz", ("questions", 0, "marks"), [0, 41]),
    ("revision", ("flashcards", 0, "id"), ["card-2"]),
    ("revision", ("quiz", "questions", 0, "correctAnswer"), ["Salty"]),
]
CASES = [(name, path, value) for name, path, values in REFUSED for value in values]


@pytest.mark.parametrize(
    ("name", "path", "value"), CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)]
)
def test_a_value_outside_the_contract_is_refused(name, path, value):
    assert schemas.output_type(name).violations(replaced(example(name), path, value)) != []


ACCEPTED = [
    ("text", (), ["a", "a" * 20_000]),
    ("richText", ("paragraphs",), [["a"] * 50]),
    ("flashcards", (), [[info(n) for n in range(3)], [info(n) for n in range(8)]]),
    ("quiz", ("questions",), [[question(n) for n in range(2)], [question(n) for n in range(5)]]),
    ("quiz", ("questions", 0, "options"), [["Water", *"abcde"]]),
    ("quiz", ("questions", 1, "type"), ["exam"]),
    ("quiz", ("questions", 0, "marks"), [1, 40]),
]


LIMITS = [(name, path, value) for name, path, values in ACCEPTED for value in values]


@pytest.mark.parametrize(
    ("name", "path", "value"), LIMITS, ids=[f"{number}-{case[0]}" for number, case in enumerate(LIMITS)]
)
def test_a_value_at_the_limits_of_the_contract_is_accepted(name, path, value):
    assert schemas.output_type(name).violations(replaced(example(name), path, value)) == []
