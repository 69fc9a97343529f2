"""Checks a JSON schema against the strict subset of OpenAI's structured outputs.

Source: the API guide's "Supported schemas", with the limits in docs as of 2026-11.
"""

from collections.abc import Iterator
from typing import Any

_KEYWORD_LIST = (
    "$schema $defs definitions $ref title description type properties required additionalProperties items "
    "minItems maxItems enum const anyOf pattern format multipleOf minimum maximum exclusiveMinimum "
    "exclusiveMaximum"
)
_KEYWORDS = frozenset(_KEYWORD_LIST.split())
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_MAX_DEPTH = 10
_MAX_PROPERTIES = 5_000
_MAX_ENUM_VALUES = 1_000


def strict_fault(schema: Any) -> str | None:
    """Return the first way in which `schema` leaves the strict subset, or None. It names path and keyword."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return "schema must be a JSON Schema of 'type: \"object\"', without a root 'anyOf'."
    properties = values = 0
    for node, path, depth in _walk(schema, (), 0):
        fault = next(_faults(node, depth, schema), None)
        if fault:
            return f"In context={path}, {fault}"
        properties += len(_members(node, "properties"))
        values += len(node.get("enum") or ())
    if properties > _MAX_PROPERTIES:
        return f"the schema has {properties} properties; at most {_MAX_PROPERTIES} are permitted."
    if values > _MAX_ENUM_VALUES:
        return f"the schema has {values} enum values; at most {_MAX_ENUM_VALUES} are permitted."
    return None


def referred(root: dict[str, Any], reference: str) -> dict[str, Any] | None:
    """Return the schema in `root` that a `$ref` such as `#/$defs/card` points to, or None."""
    target: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, dict) else None
    return target if isinstance(target, dict) else None


def _walk(schema: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[Any, tuple[str, ...], int]]:
    """Yield each schema within `schema`, where it is, and how many objects lie around and at it."""
    if not isinstance(schema, dict):
        yield schema, path, depth
        return
    depth += "properties" in schema
    yield schema, path, depth
    for key in ("properties", "$defs", "definitions"):
        for name, child in _members(schema, key).items():
            yield from _walk(child, (*path, key, name), depth)
    for index, child in enumerate(schema.get("anyOf") or ()):
        yield from _walk(child, (*path, "anyOf", str(index)), depth)
    if "items" in schema:
        yield from _walk(schema["items"], (*path, "items"), depth)


def _members(schema: dict[str, Any], key: str) -> dict[str, Any]:
    members = schema.get(key)
    return members if isinstance(members, dict) else {}


def _faults(schema: Any, depth: int, root: dict[str, Any]) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield "a schema is not an object."
        return
    if depth > _MAX_DEPTH:
        yield f"the schema nests deeper than {_MAX_DEPTH} objects."
    if "$ref" in schema:
        beside = sorted(set(schema) - {"$ref", "$defs", "definitions"})
        if beside:
            yield f"$ref cannot have keywords {set(beside[:1])}."
        if referred(root, str(schema["$ref"])) is None:
            yield "the $ref points to nothing in the schema."
    yield from _type_faults(schema)


def _type_faults(schema: dict[str, Any]) -> Iterator[str]:
    for unknown in sorted(set(schema) - _KEYWORDS):
        yield f"'{unknown}' is not permitted."
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not kinds and not schema.keys() & {"anyOf", "$ref", "enum", "const"}:
        yield "schema must have a 'type' key."
    if not set(map(str, kinds)) <= _TYPES:
        yield f"'type' is none of {', '.join(sorted(_TYPES))}."
    if "array" in kinds and "items" not in schema:
        yield "array schema missing items."
    if "object" not in kinds:
        return
    if schema.get("additionalProperties") is not False:
        yield "'additionalProperties' is required to be supplied and to be false."
    if set(schema.get("required") or ()) != _members(schema, "properties").keys():
        yield "'required' is required to be an array including every key in properties, and no other."
