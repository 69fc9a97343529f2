import pytest

import schemas


def test_the_public_surface_is_what_others_may_rely_on():
    assert schemas.__all__ == [
        "OutputType",
        "UnacceptableJson",
        "UnknownSchema",
        "Violation",
        "check_depth",
        "depth",
        "describe",
        "is_valid",
        "load",
        "names",
        "output_type",
        "output_types",
        "parse_json",
        "strict_subset",
        "unknown_output_type",
        "violations",
    ]
    assert all(hasattr(schemas, name) for name in schemas.__all__)


def test_a_loaded_schema_is_the_callers_own():
    schemas.load("job.v1").clear()

    assert schemas.load("job.v1")["title"] == "Job spec v1"


@pytest.mark.parametrize("name", ["job", "job.v2", "../pyproject", "outputs/../job.v1", "", "schemas.lock"])
def test_an_unknown_schema_is_refused_with_the_known_ones(name):
    for use in (
        schemas.load,
        lambda each: schemas.is_valid(each, {}),
        lambda each: schemas.violations(each, {}),
    ):
        with pytest.raises(schemas.UnknownSchema, match=r"there are allowlist\.v1, .*telemetry\.v1"):
            use(name)
