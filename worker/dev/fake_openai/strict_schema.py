"""Checks a JSON schema against the strict subset of OpenAI's structured outputs.

Source: the API guide's "Supported schemas", with the limits in docs as of 2026-11.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Node:
    schema: dict[str, Any]
    path: tuple[str, ...]
    depth: int  # how many objects lie around and at it


def strict_fault(schema: Any) -> str | None:
    """Return the first way in which `schema` leaves the strict subset, or None. It names path and keyword."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return "schema must be a JSON Schema of 'type: \"object\"', without a root 'anyOf'."
    nodes = []
    for node in _walk(schema, (), 0):
        fault = node if isinstance(node, str) else _reference_fault(node, schema) or _node_fault(node)
        if fault:
            return fault
        if isinstance(node, _Node):
            nodes.append(node)
    return _size_fault(nodes)


def _walk(schema: Any, path: tuple[str, ...], depth: int) -> Iterator[_Node | str]:
    if not isinstance(schema, dict):
        yield f"In context={path}, a schema is not an object."
        return
    depth += "properties" in schema
    if depth > _MAX_DEPTH:
        yield f"In context={path}, the schema nests deeper than {_MAX_DEPTH} objects."
        return
    yield _Node(schema, path, depth)
    for key in ("properties", "$defs", "definitions"):
        for name, child in _entries(schema.get(key)):
            yield from _walk(child, (*path, key, name), depth)
    for index, child in enumerate(schema.get("anyOf") or ()):
        yield from _walk(child, (*path, "anyOf", str(index)), depth)
    if "items" in schema:
        yield from _walk(schema["items"], (*path, "items"), depth)


def _entries(members: Any) -> list[tuple[str, Any]]:
    return list(members.items()) if isinstance(members, dict) else []


def referred(root: dict[str, Any], reference: str) -> dict[str, Any] | None:
    """Return the schema in `root` that a `$ref` such as `#/$defs/card` points to, or None."""
    target: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, dict) else None
    return target if isinstance(target, dict) else None


def _reference_fault(node: _Node, root: dict[str, Any]) -> str | None:
    if "$ref" not in node.schema:
        return None
    beside = sorted(set(node.schema) - {"$ref", "$defs", "definitions"})
    if beside:
        return f"In context={node.path}, $ref cannot have keywords {set(beside[:1])}."
    if referred(root, str(node.schema["$ref"])) is None:
        return f"In context={node.path}, the $ref points to nothing in the schema."
    return None


def _node_fault(node: _Node) -> str | None:
    schema = node.schema
    where = f"In context={node.path}, "
    unknown = sorted(set(schema) - _KEYWORDS)
    if unknown:
        return f"{where}'{unknown[0]}' is not permitted."
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not kinds and not schema.keys() & {"anyOf", "$ref", "enum", "const"}:
        return f"{where}schema must have a 'type' key."
    if not set(map(str, kinds)) <= _TYPES:
        return f"{where}'type' is none of {', '.join(sorted(_TYPES))}."
    if "array" in kinds and "items" not in schema:
        return f"{where}array schema missing items."
    return _object_fault(schema, where) if "object" in kinds else None


def _object_fault(schema: dict[str, Any], where: str) -> str | None:
    if schema.get("additionalProperties") is not False:
        return f"{where}'additionalProperties' is required to be supplied and to be false."
    names = {name for name, _ in _entries(schema.get("properties"))}
    if set(schema.get("required") or ()) != names:
        return (
            f"{where}'required' is required to be an array including every key in properties, and no other."
        )
    return None


def _size_fault(nodes: list[_Node]) -> str | None:
    properties = sum(len(_entries(node.schema.get("properties"))) for node in nodes)
    if properties > _MAX_PROPERTIES:
        return f"the schema has {properties} properties; at most {_MAX_PROPERTIES} are permitted."
    values = sum(len(node.schema.get("enum") or ()) for node in nodes)
    if values > _MAX_ENUM_VALUES:
        return f"the schema has {values} enum values; at most {_MAX_ENUM_VALUES} are permitted."
    return None
