"""Decides whether a value follows a schema, and says in plain words where it does not."""

from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from jsonschema_rs import Draft202012Validator, ValidationError

from schemas.findings import Finding, declared_names, findings
from schemas.keywords import KEYWORDS
from schemas.loader import load
from schemas.paths import Path, dotted
from schemas.size import has_more_values_than

# Collecting the errors of 100,000 values holds the interpreter for 0.9 s, the first error alone for 50 µs.
# The brake must not wait for that, so a document with more values than this gets its first error named.
_MANY_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where (`jobs[0].kind`, "" is the document), what is wrong, what to do. No content."""

    path: str
    problem: str
    remedy: str


_JSON = "objects, arrays, whole Unicode strings, numbers, booleans and null"


class _Schema(NamedTuple):
    document: dict[str, Any]
    declared: frozenset[str]
    validator: Draft202012Validator


@cache
def _schema(name: str) -> _Schema:
    document = load(name)
    validator = Draft202012Validator(document, keywords=dict(KEYWORDS))
    return _Schema(document, frozenset(declared_names(document)), validator)


def is_valid(name: str, instance: Any) -> bool:
    """Whether `instance` follows the schema `name` (`job.v1`).

    Raises:
        UnknownSchema: no file has that name.

    """
    validator = _schema(name).validator
    try:
        return validator.is_valid(instance)
    except ValueError:
        return False


def violations(name: str, instance: Any, limit: int = 5) -> list[Violation]:
    """Return the first `limit` rules of the schema `name` that `instance` breaks, by path; none if valid.

    Raises:
        UnknownSchema: no file has that name.

    """
    schema = _schema(name)
    try:
        errors = _errors(schema.validator, instance)
    except ValueError:
        return [Violation("", "is not plain JSON data", f"use only {_JSON}")]
    found = [each for error in errors for each in findings(schema.document, instance, error)]
    # A value can break several rules at once; the remedy of the first names them all.
    first: dict[tuple[Path, str], Finding] = {}
    # In reading order: `jobs[2]` before `jobs[10]`.
    for each in sorted(found, key=lambda each: [(isinstance(part, str), part) for part in each.path]):
        first.setdefault((each.path, each.problem if each.is_unknown_property else ""), each)
    return [
        Violation(dotted(each.path, schema.declared), each.problem, each.remedy)
        for each in islice(first.values(), limit)
    ]


def describe(found: list[Violation]) -> str:
    """Return one readable line for each violation."""
    return "\n".join(f"{each.path or 'the document'}: {each.problem}; {each.remedy}" for each in found)


def _errors(validator: Draft202012Validator, instance: Any) -> list[ValidationError]:
    if validator.is_valid(instance):
        return []
    if not has_more_values_than(_MANY_VALUES, instance):
        return list(validator.iter_errors(instance))
    try:
        validator.validate(instance)
    except ValidationError as first:
        return [first]
    return []
