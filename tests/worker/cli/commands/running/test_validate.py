"""`slotgen validate`, as a person runs it."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from typer.testing import CliRunner

from tests.builders import a_job, a_rule, a_spec, an_allowlist
from worker.cli import build
from worker.cli.support.errors import CliError

EXECUTOR = json.loads((resources.files("tasks") / "executor.v1.json").read_text())


def run(*arguments, stdin=None):
    return CliRunner().invoke(build(), ["validate", *arguments], input=stdin)


def written(tmp_path, document):
    path = tmp_path / "file.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("document", "schema"),
    [(a_spec(), "job.v1"), (json.loads(an_allowlist()), "allowlist.v1"), (EXECUTOR, "executor.v1")],
)
def test_says_what_a_valid_file_is(tmp_path, document, schema):
    done = run(written(tmp_path, document))

    assert done.exit_code == 0
    assert f"is valid ({schema})" in done.output


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "JSON"),
        (a_spec(a_job(kind="poem")), "jobs[0].kind"),
        (a_spec(a_job("a"), a_job("a")), "jobs[1].jobId"),
        (json.loads(an_allowlist(a_rule(maxJobsPerRun=101))), "rules[0].maxJobsPerRun"),
        (json.loads(an_allowlist(a_rule("same"), a_rule("same"))), "rules[1].id"),
        ({"prices": {}}, "attempts"),
        (
            a_spec(a_job(output={"field": "cards", "type": "flashcard"})),
            "jobs[0].output.type: is flashcard, which is no output type; did you mean flashcards?",
        ),
        (7, "the document"),
        (a_spec(version="v9"), "version is 'v9'"),
        ({}, "version: is missing"),
        (EXECUTOR | {"maxInputTokens": 2_000_000}, "maxInputTokens: is greater than 272000"),
        (EXECUTOR | {"maxOutputTokens": 64}, "maxOutputTokens: is 64, and the reasoning of 'gpt-6-luna'"),
        (EXECUTOR | {"model": "sol"}, "prices: has no price for the model 'sol'"),
    ],
)
def test_names_every_problem_with_path_and_remedy(tmp_path, document, words):
    done = run(written(tmp_path, document))

    assert done.exit_code == 1
    assert isinstance(done.exception, CliError)
    assert words in str(done.exception)


def test_reads_standard_input_and_prints_json():
    done = run("-", "--json", stdin=json.dumps(a_spec(a_job(kind="poem"))))

    assert done.exit_code == 1
    document = json.loads(done.output)
    assert (document["valid"], document["schema"]) == (False, "job.v1")
    assert "jobs[0].kind" in document["problems"][0]


def test_a_missing_file_is_named():
    done = run("/nowhere.json")

    assert "/nowhere.json: cannot be read" in str(done.exception)


def test_a_text_is_judged_as_an_answer_would_be(tmp_path):
    done = run(written(tmp_path, "2**3 = 8, and x < y > z.\n"), "--as", "text")

    assert done.exit_code == 0
    assert "is plain text" in done.output


def test_a_text_that_is_none_says_each_rule_with_its_line_and_never_the_text(tmp_path):
    done = run(written(tmp_path, "# Cells\n\n- every plant\n- every animal\n"), "--as", "text")

    assert done.exit_code == 1
    said = str(done.exception)
    assert "heading on line 1" in said
    assert "bullet_list on line 3" in said
    assert "slotgen explain --as text" in said
    assert "animal" not in said


def test_an_option_may_be_what_a_text_may_not(tmp_path):
    file = written(tmp_path, "# comment")

    assert run(file, "--as", "option").exit_code == 0


def test_a_text_is_judged_from_standard_input_as_json():
    done = run("-", "--as", "text", "--json", stdin="<svg/onload=alert(1)>")

    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["valid"] is False
    assert found["violations"] == [{"rule": "active_html", "line": 1}]


def test_the_line_ends_of_a_file_are_no_control_characters(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"One line.\r\nAnother.\r\n")

    assert run(str(path), "--as", "text").exit_code == 0


def test_a_text_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"caf\xe9")

    done = run(str(path), "--as", "text")

    assert done.exit_code == 1
    assert "is not UTF-8 (byte 3)" in str(done.exception)
