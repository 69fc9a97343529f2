from __future__ import annotations

from typing import Any

import pytest

from worker.dev.fake_openai.strict_schema import strict_fault


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING = {"type": "string"}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for _ in range(levels):
        schema = _object(a=schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        _object(value=STRING),
        _object(value={"type": ["string", "null"], "description": "a text"}),
        _object(
            value={"type": "array", "items": _object(n={"type": "integer", "minimum": 1}), "maxItems": 3}
        ),
        _object(value={"anyOf": [STRING, {"type": "null"}]}),
        _object(value={"$ref": "#/$defs/text"}) | {"$defs": {"text": STRING}},
        _object(maxLength=STRING),  # a property's name is no keyword
        _nested(10),
    ],
)
def test_accepts_the_strict_subset(schema: dict[str, Any]) -> None:
    assert strict_fault(schema) is None


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (STRING, 'type: "object"'),
        ([], 'type: "object"'),
        (_object(a=STRING) | {"anyOf": [_object()]}, "anyOf"),
        (_object(a={"type": "string", "minLength": 1}), "('properties', 'a'), 'minLength' is not permitted"),
        (_object(a={"allOf": [STRING]}), "'allOf' is not permitted"),
        (
            _object(a={"type": "array", "items": STRING, "uniqueItems": True}),
            "'uniqueItems' is not permitted",
        ),
        (_object(a={}), "must have a 'type' key"),
        (_object(a=True), "not an object"),
        (_object(a={"type": "text"}), "'type' is none of"),
        (_object(a={"type": "array"}), "missing items"),
        (_object(a=_object(b=STRING) | {"additionalProperties": True}), "'additionalProperties' is required"),
        (_object(a=STRING) | {"required": []}, "'required' is required"),
        (_object(a=STRING) | {"required": ["a", "b"]}, "'required' is required"),
        (
            _object(a={"$ref": "#/$defs/b"}) | {"$defs": {"b": {"oneOf": [STRING]}}},
            "'oneOf' is not permitted",
        ),
        (_object(a={"anyOf": [{"not": STRING}]}), "'not' is not permitted"),
        (_object(a={"$ref": "#/$defs/b"}), "points to nothing"),
        (
            _object(a={"$ref": "#/$defs/b", "description": "x"}) | {"$defs": {"b": STRING}},
            "$ref cannot have keywords {'description'}",
        ),
        (_nested(11), "deeper than 10"),
        (_object(**{f"p{n}": STRING for n in range(5001)}), "5001 properties"),
        (_object(a={"enum": [str(n) for n in range(1001)]}), "1001 enum values"),
    ],
)
def test_names_the_way_in_which_a_schema_leaves_it(schema: Any, says: str) -> None:
    assert says in (strict_fault(schema) or "no fault")
