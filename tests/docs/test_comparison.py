"""docs/comparison.md claims nothing of slotgen without a test, and nothing of others without their word."""

from __future__ import annotations

import ast
import re

import pytest

from tests.surroundings import ROOT

PAGE = (ROOT / "docs" / "comparison.md").read_text("utf-8")
DOCUMENTATION = {
    "Unleash": "https://docs.getunleash.io/",
    "LaunchDarkly": "https://launchdarkly.com/docs/",
    "LiteLLM": "https://docs.litellm.ai/",
    "Temporal": "https://docs.temporal.io/",
    "Celery": "https://docs.celeryq.dev/",
}
NO_CLAIM = "–"


def tables() -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in each.splitlines()]
        for each in blocks
    ]


COMPARED, HELD = tables()
(_, OURS, *OTHERS), ROWS = COMPARED[0], COMPARED[2:]
TESTS = {row: re.findall(r"`([^`]+)`", named) for row, named in HELD[2:]}


def is_there(test: str) -> bool:
    file, *names = test.split("::")
    found: list[ast.stmt] = ast.parse((ROOT / file).read_text("utf-8")).body
    for name in names:
        of_that_name = [each for each in found if getattr(each, "name", None) == name]
        found = of_that_name[0].body if of_that_name else []
    return bool(found) and names[-1].startswith("test_")


def test_it_is_of_those_that_were_asked_for():
    assert OURS == "slotgen"
    assert list(DOCUMENTATION) == OTHERS
    assert {len(row) for row in ROWS} == {2 + len(OTHERS)}
    assert len(ROWS) == len({row[0] for row in ROWS}) >= 15


def test_whatever_slotgen_is_said_to_do_is_held_by_tests():
    # The first row says what each is; a no needs no test.
    said = [row[0] for row in ROWS[1:] if row[1] != "no"]

    assert list(TESTS) == said


@pytest.mark.parametrize("row", TESTS)
def test_a_test_that_is_named_is_there(row):
    assert [each for each in TESTS[row] if not is_there(each)] == []
    assert TESTS[row]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_whatever_is_said_of_others_links_to_their_own_documentation(row):
    for name, said in zip(OTHERS, row[2:], strict=True):
        if said == NO_CLAIM:
            continue
        links = re.findall(r"\]\((\S+?)\)", said)
        assert links, f"{name}: {said}"
        assert [each for each in links if not each.startswith(DOCUMENTATION[name])] == []


def test_a_name_that_is_not_there_would_be_found_out():
    assert is_there("tests/docs/test_comparison.py::test_a_name_that_is_not_there_would_be_found_out")
    assert not is_there("tests/docs/test_comparison.py::test_that_nobody_wrote")
    assert not is_there("tests/docs/test_comparison.py::is_there")
