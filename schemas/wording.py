"""Says in words what a schema accepts and what a value got wrong; no word comes from the value itself."""

import difflib
import json
from collections.abc import Iterable
from typing import Any

# An enum longer than this is cut: the reader wants the line, and finds the rest in the schema.
_MAX_CHOICES = 12
_NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
# What the keywords that bound a size end in, and what they count.
_SIZES = {
    "string": ("Length", "character", "characters"),
    "array": ("Items", "item", "items"),
    "object": ("Properties", "property", "properties"),
}
_RANGE = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to"}
_PROBLEMS = {
    "enum": "is not one of the allowed values",
    "const": "is not the expected value",
    "minLength": "is shorter than {limit} characters",
    "maxLength": "is longer than {limit} characters",
    "minItems": "has fewer than {limit} items",
    "maxItems": "has more than {limit} items",
    "minProperties": "has fewer than {limit} properties",
    "maxProperties": "has more than {limit} properties",
    "minimum": "is less than {limit}",
    "maximum": "is greater than {limit}",
    "exclusiveMinimum": "is not greater than {limit}",
    "pattern": "has the wrong form",
    "uniqueItems": "has the same item twice",
    "anyOf": "fits none of the allowed forms",
}


def expectation(schema: Any) -> str:
    """Return in words what `schema` accepts: "a string of 1 to 256 characters"."""
    if not isinstance(schema, dict):
        return "a value"
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        shown = [_literal(each) for each in schema["enum"][:_MAX_CHOICES]]
        hidden = len(schema["enum"]) - _MAX_CHOICES
        return _either([*shown, f"one of {hidden} others in the schema"] if hidden > 0 else shown)
    if "anyOf" in schema:
        return _either(map(expectation, schema["anyOf"]))
    return _either(_noun(each, schema) for each in _types(schema.get("type", []))) or "a value"


def problem(keyword: str, limit: Any) -> str:
    """Return what a value got wrong that broke `keyword`, whose value in the schema is `limit`."""
    if limit == 1 and keyword in {"minLength", "minItems", "minProperties"}:
        return "is empty"
    if limit == 0 and keyword in {"maxLength", "maxItems", "maxProperties"}:
        return "is not empty"
    return _PROBLEMS.get(keyword, f"breaks the schema's rule {keyword}").format(limit=limit)


def mistyped(value: Any, expected: str | list[str]) -> str:
    """Return "is a number, not a string" for a value of another type than the `expected` ones."""
    nouns = {bool: "a boolean", int: "a number", float: "a number", str: "a string", type(None): "null"}
    noun = (nouns | {list: "an array", dict: "an object"}).get(type(value), "of another type")
    return f"is {noun}, not {_either(_NOUNS[each] for each in _types(expected))}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what to do about the unknown property `name`, where `known` ones exist."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}? Rename or remove it" if close else "remove it"


def _types(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else types


def _either(words: Iterable[str]) -> str:
    """Return "a, b or c"."""
    *firsts, last = list(words) or [""]
    return f"{', '.join(firsts)} or {last}" if firsts else last


def _noun(name: str, schema: dict[str, Any]) -> str:
    if name not in _SIZES:
        return _NOUNS[name] + "".join(f" {_RANGE[each]} {schema[each]}" for each in _RANGE if each in schema)
    keyword, unit, units = _SIZES[name]
    size = _span(schema.get(f"min{keyword}"), schema.get(f"max{keyword}"), unit, units)
    if name == "string" and "x-form" in schema:
        return f"{schema['x-form']} ({size})" if size else str(schema["x-form"])
    return f"{_NOUNS[name]} of {size}" if size else _NOUNS[name]


def _span(least: int | None, most: int | None, unit: str, units: str) -> str:
    if least is None and most is None:
        return ""
    counted = unit if 1 in {least, most} and (least == most or None in {least, most}) else units
    if least == most:
        return f"exactly {most} {counted}"
    if least is None:
        return f"at most {most} {counted}" if most else f"no {counted}"
    return f"at least {least} {counted}" if most is None else f"{least} to {most} {counted}"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
