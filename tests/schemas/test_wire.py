import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import schemas
from tests.schemas.judge import examples, mutants

# What OpenAI's guide lists as supported, as far as our types need it.
ALLOWED = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "$defs", "$ref"),
    *("description", "minItems", "maxItems", "minimum", "maximum"),
}
TYPES = schemas.output_types()


def nodes(schema, level=1):
    """Yield every schema inside `schema`, with its level of nesting."""
    yield level, schema
    for child in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from nodes(child, level + 1)
    if "items" in schema:
        yield from nodes(schema["items"], level + 1)


@pytest.mark.parametrize("name", TYPES)
def test_a_wire_schema_keeps_to_the_strict_subset(name):
    wire = schemas.output_type(name).wire
    found = list(nodes(wire))

    Draft202012Validator.check_schema(wire)
    assert wire["type"] == "object"
    assert list(wire["properties"]) == ["value"]
    assert max(level for level, _ in found) <= 10
    assert sum(len(node.get("properties", {})) for _, node in found) <= 5000
    for _, node in found:
        assert node.keys() <= ALLOWED
        assert {"type", "anyOf"} & node.keys()
        if node.get("type") == "object":
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_what_is_accepted_could_be_sent(name, data):
    output = schemas.output_type(name)
    letters = st.text(min_size=1, max_size=9)
    value = data.draw(
        mutants(f"outputs/{name}.v1", letters | st.integers(0, 300) | st.lists(letters, max_size=6))
    )
    wire = Draft202012Validator(output.wire)

    if output.violations(value) == []:
        assert wire.is_valid({"value": value})


@pytest.mark.parametrize("name", TYPES)
def test_the_wire_schema_takes_the_examples_and_nothing_around_them(name):
    wire = Draft202012Validator(schemas.output_type(name).wire)
    value = examples(f"outputs/{name}.v1")[0]

    assert wire.is_valid({"value": value})
    assert not wire.is_valid(value)
    assert not wire.is_valid({"value": value, "note": ""})


def test_rules_outside_the_subset_are_stripped_and_a_const_becomes_an_enum():
    accept = {
        "title": "T",
        "type": "object",
        "properties": {
            "kind": {"const": "a", "description": "d"},
            "level": {"enum": [1, None]},
            "text": {"type": "string", "minLength": 1, "pattern": "x", "format": "date"},
            "many": {"type": "array", "uniqueItems": True, "maxItems": 2, "items": {"anyOf": [{"const": 1}]}},
        },
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["text"]},
        "x-memberOf": {"text": "many"},
    }

    value = schemas.strict_subset(accept)["properties"]["value"]

    assert value == {
        "type": "object",
        "properties": {
            "kind": {"type": ["string"], "enum": ["a"], "description": "d"},
            "level": {"type": ["integer", "null"], "enum": [1, None]},
            "text": {"type": "string"},
            "many": {
                "type": "array",
                "maxItems": 2,
                "items": {"anyOf": [{"type": ["integer"], "enum": [1]}]},
            },
        },
        "required": ["kind", "level", "text", "many"],
        "additionalProperties": False,
    }
