"""Says in words what a schema accepts: "a string of 1 to 256 characters"."""

import json
from collections.abc import Iterable
from typing import Any

# An enum longer than this is cut: the reader wants the line, and finds the rest in the schema.
_MAX_CHOICES = 12

NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def expectation(schema: Any) -> str:
    """Return in words what `schema` accepts: "a string of 1 to 256 characters"."""
    if not isinstance(schema, dict):
        return "a value"
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return _choices(schema["enum"])
    forms = schema.get("anyOf") or schema.get("oneOf")
    if forms:
        return either(expectation(each) for each in forms)
    types = schema.get("type", ())
    return either(_noun(each, schema) for each in ([types] if isinstance(types, str) else types)) or "a value"


def either(words: Iterable[str]) -> str:
    """Return "a, b or c"."""
    *firsts, last = list(words) or [""]
    return f"{', '.join(firsts)} or {last}" if firsts else last


def _noun(name: str, schema: dict[str, Any]) -> str:
    if name == "string":
        size = _span(schema.get("minLength"), schema.get("maxLength"), "character")
        form = schema.get("x-form")
        return _formed(form, size) if form else _sized("a string", size)
    if name == "array":
        return _sized("an array", _span(schema.get("minItems"), schema.get("maxItems"), "item"))
    if name == "object":
        properties = _span(schema.get("minProperties"), schema.get("maxProperties"), "property", "properties")
        return _sized("an object", properties)
    return NOUNS[name] + (_range(schema) if name in {"integer", "number"} else "")


def _formed(form: str, size: str) -> str:
    return f"{form} ({size})" if size else form


def _sized(noun: str, size: str) -> str:
    return f"{noun} of {size}" if size else noun


def _span(least: int | None, most: int | None, unit: str, units: str = "") -> str:
    if least is None and most is None:
        return ""
    counted = unit if 1 in {least, most} and (least == most or None in {least, most}) else units or f"{unit}s"
    if least == most:
        return f"exactly {most} {counted}"
    if least is None:
        return f"at most {most} {counted}" if most else f"no {counted}"
    return f"at least {least} {counted}" if most is None else f"{least} to {most} {counted}"


def _range(schema: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {schema[keyword]}" for keyword, word in words.items() if keyword in schema)


def _choices(options: list[Any]) -> str:
    shown = [_literal(each) for each in options[:_MAX_CHOICES]]
    hidden = len(options) - _MAX_CHOICES
    return either([*shown, f"one of {hidden} others in the schema"] if hidden > 0 else shown)


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
