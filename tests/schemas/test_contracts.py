import re

import pytest
from jsonschema import Draft202012Validator

import schemas
from tasks.errors import ErrorCode, Status
from tests.schemas.judge import FOLDER, Judge, at, examples, objects, on_disk, replaced

OPEN_OBJECTS = {
    ("job.v1", ("jobs", 0, "input")),
    ("result.v1", ("output",)),
    ("result.v1", ("output", "body")),
    ("executor.v1", ("prices",)),
}
# Celery adds properties as it likes.
CELERYS_OWN = {"message.v2", "answer.v1"}
KINDS = ["statutory", "assessment", "explanatory", "revision"]


def closed_objects():
    for name in schemas.names():
        if name not in CELERYS_OWN:
            for index, example in enumerate(examples(name)):
                for path, _ in objects(example):
                    if (name, path) not in OPEN_OBJECTS:
                        yield pytest.param(name, index, path, id=f"{name}-{index}-{'.'.join(map(str, path))}")


def required_fields():
    for case in closed_objects():
        name, index, path = case.values
        optional = {"topic", "allowAI", "reasoningEffort", "repairAttempts", "temperature", "topP"}
        optional |= {"serviceTier", "serviceTierMultipliers", "priceMultiplier", "promptCaching"}
        for field in sorted(at(examples(name)[index], path).keys() - optional):
            yield pytest.param(name, index, (*path, field), id=f"{case.id}.{field}")
    for path in [
        "body",
        "content-type",
        "content-encoding",
        "headers",
        "properties",
        "headers.id",
        "headers.task",
    ]:
        yield pytest.param("message.v2", 0, tuple(path.split(".")), id=f"message.v2-{path}")
    for field in ["body_encoding", "delivery_tag", "delivery_info"]:
        yield pytest.param("message.v2", 0, ("properties", field), id=f"message.v2-{field}")


@pytest.mark.parametrize("name", schemas.names())
def test_a_schema_is_draft_2020_12_named_after_its_file_and_described(name):
    schema = on_disk(name)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:slotgen:" + name.replace("/", ":").replace(".v", ":v")
    assert schema["title"]
    assert schema["description"]


def test_every_json_file_is_a_schema_with_a_version():
    files = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*.json")}

    assert files == {f"{name}.json" for name in schemas.names()}


@pytest.mark.parametrize("name", schemas.names())
def test_every_example_follows_the_schema_it_illustrates(name):
    schema = schemas.load(name)
    illustrated = [each for _, each in objects(schema) if isinstance(each.get("examples"), list)]

    assert schema["examples"]
    for each in illustrated:
        for example in each["examples"]:
            assert not list(Judge(each).iter_errors(example)), (each.get("title"), example)


@pytest.mark.parametrize("name", schemas.names())
def test_every_pattern_says_in_words_what_it_wants(name):
    for path, each in objects(schemas.load(name)):
        if isinstance(each.get("pattern"), str):
            assert each.get("x-form"), path
            assert re.compile(each["pattern"])


@pytest.mark.parametrize(("name", "index", "path"), list(closed_objects()))
def test_a_closed_object_refuses_an_extra_property(name, index, path):
    document = examples(name)[index]
    extended = replaced(document, path, at(document, path) | {"extra": 1})

    found = schemas.violations(name, extended)

    assert [each.problem for each in found] == ["has an unknown property extra"]


@pytest.mark.parametrize(("name", "index", "path"), list(required_fields()))
def test_a_missing_field_is_refused_and_named(name, index, path):
    document = examples(name)[index]
    parent = dict(at(document, path[:-1]))
    del parent[path[-1]]

    found = schemas.violations(name, replaced(document, path[:-1], parent))

    assert [each.problem for each in found] == ["is missing"]
    assert found[0].path.endswith(path[-1])


def test_the_open_objects_take_any_property():
    spec = replaced(examples("job.v1")[0], ("jobs", 0, "input"), {"anything at all": [None]})
    message = replaced(examples("message.v2")[0], ("headers", "traceparent"), "00-0af7651916cd43dd")

    assert schemas.is_valid("job.v1", spec)
    assert schemas.is_valid("message.v2", message)


def test_the_error_codes_and_statuses_are_the_words_of_the_use_case():
    properties = schemas.load("telemetry.v1")["properties"]

    assert properties["errorCode"]["enum"] == [None, *(code.value for code in ErrorCode)]
    assert set(properties["status"]["enum"]) == set(Status)
    assert set(schemas.load("result.v1")["properties"]["status"]["enum"]) == set(Status)


def test_every_error_code_belongs_to_stub_or_to_failed():
    stub, failed = (
        rule["then"]["properties"]["errorCode"]["enum"] for rule in schemas.load("telemetry.v1")["allOf"][1:]
    )

    assert [*stub, *failed] == [code.value for code in ErrorCode]
    assert stub[-1] == "BUDGET_EXCEEDED"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_telemetry_takes_an_error_code_with_its_own_status_alone(code):
    event = examples("telemetry.v1")[0] | {"errorCode": code.value}
    is_failure = list(ErrorCode).index(code) > list(ErrorCode).index(ErrorCode.BUDGET_EXCEEDED)

    verdicts = [
        schemas.is_valid("telemetry.v1", event | {"status": each}) for each in ("STUB", "COMPLETED", "FAILED")
    ]

    assert verdicts == [not is_failure, False, is_failure]


def test_telemetry_has_no_error_code_exactly_when_completed():
    event = examples("telemetry.v1")[0] | {"errorCode": None}

    verdicts = [
        schemas.is_valid("telemetry.v1", event | {"status": each}) for each in ("STUB", "COMPLETED", "FAILED")
    ]

    assert verdicts == [False, True, False]


@pytest.mark.parametrize("status", ["STUB", "COMPLETED", "FAILED"])
@pytest.mark.parametrize("output", [None, {"body": "text"}])
def test_a_result_has_output_exactly_when_completed(status, output):
    result = examples("result.v1")[0] | {"status": status, "output": output}

    assert schemas.is_valid("result.v1", result) == ((status == "COMPLETED") == (output is not None))


def test_the_kinds_are_the_same_in_every_contract():
    job, rule = schemas.load("job.v1"), schemas.load("allowlist.v1")
    prompts = schemas.load("executor.v1")["properties"]["prompts"]

    assert job["properties"]["jobs"]["items"]["properties"]["kind"]["enum"] == KINDS
    assert rule["properties"]["rules"]["items"]["properties"]["kinds"]["items"]["enum"] == KINDS
    assert list(prompts["properties"]) == prompts["required"] == KINDS


LIMITS = [
    ("job.v1", ("jobs", 0, "jobId"), ["a", "é" * 256], ["", "a" * 257, 1, None]),
    ("job.v1", ("jobs", 0, "slotId"), ["a" * 256], ["", "a" * 257]),
    ("job.v1", ("jobs", 0, "mode"), ["verbatim"], ["Generate", None]),
    ("job.v1", ("jobs", 0, "input"), [{}], [[], None, "{}"]),
    ("job.v1", ("jobs", 0, "sources"), [[], [""]], [[1], None, {}]),
    ("job.v1", ("jobs", 0, "required"), [False], [0, "true", None]),
    ("job.v1", ("metadata", "allowAI"), [True, False], ["true", 1, None]),
    ("job.v1", ("appliesTo", "subject"), ["b" * 256], ["", "b" * 257, None]),
    ("job.v1", ("version",), ["v1"], ["v2", 1, None]),
    ("allowlist.v1", ("rules", 0, "maxJobsPerRun"), [1, 100], [0, 101, 1.5, "1", True]),
    ("allowlist.v1", ("rules", 0, "id"), ["a" * 128], ["", "a" * 129]),
    ("allowlist.v1", ("rules", 0, "kinds"), [[]], [["quiz"], "revision", None]),
    ("allowlist.v1", ("mode",), ["deny_by_default"], ["allow_by_default", ""]),
    ("allowlist.v1", ("enabled",), [False], ["true", 1]),
    ("telemetry.v1", ("latencyMs",), [0, 0.5], [-0.001, "1", None]),
    ("telemetry.v1", ("path",), ["stub"], ["STUB", None]),
    (
        "result.v1",
        ("generatedAt",),
        ["2026-11-23T10:15:00Z"],
        ["2026-11-23T10:15:00+00:00", "2026-11-23 10:15:00Z"],
    ),
    ("executor.v1", ("attempts",), [1, 10], [0, 11]),
    ("executor.v1", ("jobDeadlineSeconds",), [0.1, 3600], [0, 3601]),
    ("executor.v1", ("maxOutputTokens",), [16, 128000], [15, 128001]),
    ("executor.v1", ("maxInputTokens",), [1024, 272_000], [1023, 272_001, 2_000_000]),
    ("executor.v1", ("serviceTier",), ["default", "flex", "priority", None], ["auto", "fast", "scale", ""]),
    ("executor.v1", ("priceMultiplier",), ["1.1", "1", "0.5"], [1.1, "0", "0.0", "-1", "100", "1e1", "1\n"]),
    ("executor.v1", ("promptCaching",), [True, False], [None, "off", 0]),
    ("executor.v1", ("prices",), [], [{}, {"gpt": {}}]),
    (
        "executor.v1",
        ("prices", "gpt-6-luna", "outputUsdPerMillion"),
        ["0", "12.50"],
        [0.5, "-1", "1e3", ".5", "1\n"],
    ),
    ("executor.v1", ("prompts", "revision"), ["revision.v12"], ["../secret.v1", "revision", "Revision.v1"]),
]


@pytest.mark.parametrize(("name", "path", "accepted", "refused"), LIMITS, ids=lambda each: str(each)[:40])
def test_a_field_keeps_to_its_limits(name, path, accepted, refused):
    example = examples(name)[0]

    assert [value for value in accepted if not schemas.is_valid(name, replaced(example, path, value))] == []
    assert [value for value in refused if schemas.is_valid(name, replaced(example, path, value))] == []


@pytest.mark.parametrize(("count", "accepted"), [(0, False), (1, True), (100, True), (101, False)])
def test_a_spec_has_1_to_100_jobs(count, accepted):
    example = examples("job.v1")[0]

    assert schemas.is_valid("job.v1", example | {"jobs": example["jobs"] * count}) == accepted


def test_an_allowlist_has_at_most_10000_rules():
    example = examples("allowlist.v1")[0]

    assert schemas.is_valid("allowlist.v1", example | {"rules": example["rules"] * 10_000})
    assert not schemas.is_valid("allowlist.v1", example | {"rules": example["rules"] * 10_001})
