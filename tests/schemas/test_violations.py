import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from schemas import Violation
from tests.schemas.judge import at, examples, mutants, places, replaced

JOB = ("jobs", 0)


def said_of(name, path, value, index=0):
    return schemas.describe(schemas.violations(name, replaced(examples(name)[index], path, value)))


MESSAGES = [
    ("job.v1", (), [], "the document: is an array, not an object; use an object"),
    ("job.v1", ("version",), "v2", "version: is not the expected value; use v1"),
    ("job.v1", ("jobs",), [], "jobs: is empty; use an array of 1 to 100 items"),
    (
        "job.v1",
        ("metadata", "allowAI"),
        "true",
        "metadata.allowAI: is a string, not true or false; use true or false",
    ),
    ("job.v1", (*JOB, "jobId"), "", "jobs[0].jobId: is empty; use a string of 1 to 256 characters"),
    (
        "job.v1",
        (*JOB, "jobId"),
        None,
        "jobs[0].jobId: is null, not a string; use a string of 1 to 256 characters",
    ),
    (
        "job.v1",
        (*JOB, "jobId"),
        "x" * 257,
        "jobs[0].jobId: is longer than 256 characters; use a string of 1 to 256 characters",
    ),
    (
        "job.v1",
        (*JOB, "kind"),
        "essay",
        "jobs[0].kind: is not one of the allowed values; use statutory, assessment, explanatory or revision",
    ),
    (
        "job.v1",
        (*JOB, "jobid"),
        "x",
        "jobs[0]: has an unknown property jobid; did you mean jobId? Rename or remove it",
    ),
    ("job.v1", ("x",), 1, "the document: has an unknown property x; remove it"),
    (
        "job.v1",
        ("metadata", "not a name"),
        1,
        "metadata: has a property that is not allowed; use only requiresReview, allowAI",
    ),
    (
        "allowlist.v1",
        ("rules", 0, "maxJobsPerRun"),
        0,
        "rules[0].maxJobsPerRun: is less than 1; use an integer from 1 up to 100",
    ),
    ("executor.v1", ("topP",), 0, "topP: is not greater than 0; use a number above 0 up to 1"),
    (
        "executor.v1",
        ("prices", "gpt-6-luna", "outputUsdPerMillion"),
        "cheap",
        (
            "prices.(a property).outputUsdPerMillion: has the wrong form; "
            'use a decimal in quotes such as "0.25" (at most 32 characters)'
        ),
    ),
    (
        "result.v1",
        ("output",),
        None,
        "output: is null, not an object when status is COMPLETED; use an object of exactly 1 property",
    ),
    (
        "result.v1",
        ("status",),
        "STUB",
        "output: is an object, not null when status is STUB or FAILED; use null",
    ),
    (
        "telemetry.v1",
        ("errorCode",),
        "RUN_LIMIT",
        "errorCode: is a string, not null when status is COMPLETED; use null",
    ),
    ("message.v2", ("headers", "get"), 1, "headers.get: is not allowed here; remove it"),
    (
        "message.v2",
        ("headers", "timelimit"),
        [1],
        "headers.timelimit: has fewer than 2 items; use an array of exactly 2 items or null",
    ),
    (
        "outputs/quiz.v1",
        ("questions", 1, "options"),
        ["a"],
        (
            "questions[1].correctAnswer: is not one of options; repeat one of options word for word\n"
            "questions[1].options: is not empty when type is short or exam; use an array of no items"
        ),
    ),
    (
        "outputs/quiz.v1",
        ("questions", 1, "id"),
        "q1",
        "questions: has the same id twice; give each item its own id",
    ),
    (
        "outputs/choiceOptions.v1",
        ("options", 3),
        "Water",
        "options: has the same item twice; make the items differ",
    ),
]


@pytest.mark.parametrize(
    ("name", "path", "value", "said"), MESSAGES, ids=[said[:50] for *_, said in MESSAGES]
)
def test_a_violation_reads_as_path_problem_and_remedy(name, path, value, said):
    assert said_of(name, path, value) == said


def test_a_missing_field_is_named_with_what_to_add():
    spec = examples("job.v1")[0]
    del spec["jobs"][0]["slotId"]

    found = schemas.violations("job.v1", spec)

    assert found == [Violation("jobs[0].slotId", "is missing", "add a string of 1 to 256 characters")]


def test_a_long_enum_is_cut():
    said = said_of("telemetry.v1", ("errorCode",), "OOPS", index=1)

    assert "or one of 16 others in the schema" in said


def test_violations_come_in_reading_order_and_no_more_than_asked_for():
    spec = examples("job.v1")[0]
    spec["jobs"] = [spec["jobs"][0] | {"kind": "x"} for _ in range(12)]

    paths = [each.path for each in schemas.violations("job.v1", spec, limit=11)]

    assert paths == [f"jobs[{index}].kind" for index in range(11)]
    assert len(schemas.violations("job.v1", spec)) == 5


def test_a_valid_document_has_no_violations():
    for name in schemas.names():
        for example in examples(name):
            assert schemas.violations(name, example) == []


def test_what_is_not_json_is_refused_without_an_exception():
    for value in ({1: 2}, {"a": {1, 2}}, "\ud800", {"\ud800": 1}, object()):
        assert not schemas.is_valid("job.v1", value)
        assert len(schemas.violations("job.v1", value)) == 1


def test_a_document_of_a_hundred_thousand_wrong_values_gets_its_first_one_named():
    spec = replaced(examples("job.v1")[0], (*JOB, "sources"), [1] * 100_000)

    found = schemas.violations("job.v1", spec)

    assert [each.path for each in found] == ["jobs[0].sources[0]"]


def test_a_name_below_a_free_object_is_shown_only_when_it_looks_like_a_name():
    price = {"inputUsdPerMillion": "1"}
    said = said_of("executor.v1", ("prices",), {"luna": price, "the answer is 42": price})

    assert "prices.luna.outputUsdPerMillion" in said
    assert "42" not in said


@pytest.mark.parametrize("name", schemas.names())
@settings(max_examples=80)
@given(data=st.data())
def test_a_message_never_repeats_content(name, data):
    marker = str(data.draw(st.uuids()))
    number = data.draw(st.integers(10**12, 10**13))
    content = st.sampled_from(
        [
            marker,
            [marker],
            {marker: marker},
            {"a": {marker: number}},
            number,
            -number,
            [marker, marker],
            f"x\n{marker}",
        ]
    )
    document = data.draw(mutants(name, content))
    path = data.draw(st.sampled_from(places(document)))
    if isinstance(at(document, path), dict):
        document = replaced(document, (*path, marker), number)

    said = schemas.describe(schemas.violations(name, document, limit=100))

    assert marker not in said
    assert str(number) not in said
    assert all(line.count(": ") >= 1 for line in said.splitlines())
