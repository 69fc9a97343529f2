"""Derives the schema that goes to the model: OpenAI's strict subset, a superset of what is accepted.

Source: OpenAI's guide "Structured model outputs", section "Supported schemas": an object at the root, every
property required, closed objects, at most 10 levels and 5,000 properties. What is stripped here (lengths,
patterns, conditions, rules between fields) is enforced on the answer by the accept schema.
"""

from typing import Any

_KEYWORD_LIST = (
    "type properties required additionalProperties items enum anyOf $defs $ref description minItems maxItems "
    "minimum maximum"
)
_KEYWORDS = frozenset(_KEYWORD_LIST.split())
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def strict_subset(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the wire schema of an accept schema: an object whose only property `value` carries the value."""
    return _closed({"type": "object", "properties": {"value": _subset(schema)}})


def _subset(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _kept(key, value) for key, value in schema.items() if key in _KEYWORDS}
    if "const" in schema:
        kept["enum"] = [schema["const"]]
    if "enum" in kept:
        # OpenAI wants a type in every schema; beside an enum JSON Schema needs none.
        kept.setdefault("type", sorted({_TYPES[type(each)] for each in kept["enum"]}))
    return _closed(kept) if "properties" in kept else kept


def _kept(keyword: str, value: Any) -> Any:
    if keyword in {"properties", "$defs"}:
        return {name: _subset(each) for name, each in value.items()}
    if keyword == "anyOf":
        return [_subset(each) for each in value]
    return _subset(value) if keyword == "items" else value


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"required": list(schema["properties"]), "additionalProperties": False}
