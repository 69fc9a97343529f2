"""Says in words what a value got wrong; the words come from the schema and the value's type alone."""

import difflib
from collections.abc import Iterable
from typing import Any

from schemas.expectation import NOUNS, either

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
    "exclusiveMaximum": "is not less than {limit}",
    "pattern": "has the wrong form",
    "uniqueItems": "has the same item twice",
    "propertyNames": "has a property whose name has the wrong form",
    "anyOf": "fits none of the allowed forms",
    "oneOf": "does not fit exactly one of the allowed forms",
}


def problem(keyword: str, limit: Any) -> str:
    """Return what a value got wrong that broke `keyword`, whose value in the schema is `limit`."""
    if limit == 1 and keyword in {"minLength", "minItems", "minProperties"}:
        return "is empty"
    if limit == 0 and keyword in {"maxLength", "maxItems", "maxProperties"}:
        return "is not empty"
    return _PROBLEMS.get(keyword, f"breaks the schema's rule {keyword}").format(limit=limit)


def mistyped(value: Any, expected: str | list[str]) -> str:
    """Return "is a number, not a string" for a value of another type than the `expected` ones."""
    wanted = [expected] if isinstance(expected, str) else expected
    return f"is {_type_of(value)}, not {either(NOUNS[each] for each in wanted)}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what to do about the unknown property `name`, where `known` ones exist."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}? Rename or remove it" if close else "remove it"


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    nouns = {int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
    return nouns.get(type(value), "null" if value is None else "of another type")
