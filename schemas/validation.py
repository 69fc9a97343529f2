"""Decides whether a value follows a schema, and says in plain words where it does not."""

from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from schemas.findings import SchemaFinding, declared_names, findings
from schemas.keywords import KEYWORDS
from schemas.loader import load
from schemas.paths import dotted, sort_key
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


_NOT_JSON = Violation(
    "",
    "is not plain JSON data",
    "use only objects, arrays, whole Unicode strings, numbers, booleans and null",
)


def is_valid(name: str, instance: Any) -> bool:
    """Whether `instance` follows the schema `name` (`job.v1`).

    Raises:
        UnknownSchema: no file has that name.

    """
    validator = _validator(name)
    try:
        return validator.is_valid(instance)
    except ValueError:
        return False


def violations(name: str, instance: Any, limit: int = 5) -> list[Violation]:
    """Return the first `limit` rules of the schema `name` that `instance` breaks, by path; none if valid.

    Raises:
        UnknownSchema: no file has that name.

    """
    validator = _validator(name)
    try:
        if validator.is_valid(instance):
            return []
        errors = _errors(validator, instance)
    except ValueError:
        return [_NOT_JSON]
    return _violations(name, instance, errors, limit)


def describe(found: list[Violation]) -> str:
    """Return one readable line for each violation."""
    return "\n".join(f"{each.path or 'the document'}: {each.problem}; {each.remedy}" for each in found)


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(load(name), keywords=dict(KEYWORDS))


@cache
def _schema(name: str) -> tuple[dict[str, Any], frozenset[str]]:
    schema = load(name)
    return schema, frozenset(declared_names(schema))


def _errors(validator: Draft202012Validator, instance: Any) -> list[ValidationError]:
    if not has_more_values_than(_MANY_VALUES, instance):
        return list(validator.iter_errors(instance))
    try:
        validator.validate(instance)
    except ValidationError as first:
        return [first]
    return []


def _violations(name: str, instance: Any, errors: list[ValidationError], limit: int) -> list[Violation]:
    schema, declared = _schema(name)
    found = [each for error in errors for each in findings(schema, instance, error)]
    found.sort(key=lambda each: sort_key(each.path))
    return [
        Violation(dotted(each.path, declared), each.problem, each.remedy)
        for each in islice(_one_for_each_path(found), limit)
    ]


def _one_for_each_path(found: list[SchemaFinding]) -> list[SchemaFinding]:
    # A value can break several rules at once; the remedy of the first names them all.
    first: dict[tuple[Any, ...], SchemaFinding] = {}
    for each in found:
        first.setdefault((each.path, each.problem if each.is_unknown_property else ""), each)
    return list(first.values())
