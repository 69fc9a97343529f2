"""Turns one error of the validation engine into our words: never its message, which quotes the content."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError

from schemas import keywords
from schemas.paths import Path, nameable
from schemas.wording import expectation, mistyped, problem, suggestion

# An object can have thousands of unknown properties; more than the first few are not worth reading.
_MAX_UNKNOWN = 20


class Finding(NamedTuple):
    """What is wrong at `path` (parts of the instance's path, unsafe to show) and what to do."""

    path: Path
    problem: str
    remedy: str
    is_unknown_property: bool = False


def findings(schema: dict[str, Any], instance: Any, error: ValidationError) -> Iterator[Finding]:
    """Yield what `error` means, for `instance` against the resolved `schema`."""
    path: Path = tuple(error.instance_path)
    keyword: str = error.kind.name
    said = error.kind.as_dict()
    parent = _at(schema, error.schema_path[:-1])
    when = _condition(schema, error.schema_path)
    match keyword:
        case "required":
            wanted = expectation(parent.get("properties", {}).get(said["property"]))
            yield Finding((*path, said["property"]), f"is missing{when}", f"add {wanted}")
        case "additionalProperties":
            yield from _unknown(path, said["unexpected"], parent.get("properties", {}))
        case "falseSchema":
            yield Finding(path, "is not allowed here", "remove it")
        case keywords.MEMBER_OF:
            name, array = said["message"], parent[keyword][said["message"]]
            yield Finding((*path, name), f"is not one of {array}", f"repeat one of {array} word for word")
        case keywords.UNIQUE_BY:
            name = parent[keyword]
            yield Finding(path, f"has the same {name} twice", f"give each item its own {name}")
        case "uniqueItems":
            yield Finding(path, problem(keyword, None) + when, "make the items differ")
        case "type":
            mistake = mistyped(_at(instance, path), parent["type"])
            yield Finding(path, mistake + when, f"use {expectation(parent)}")
        case _:
            yield Finding(path, problem(keyword, parent.get(keyword)) + when, f"use {expectation(parent)}")


def declared_names(schema: Any) -> Iterator[str]:
    """Yield every property name that `schema` declares: these are never content."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        schema = list(schema.values())
    for child in schema if isinstance(schema, list) else ():
        yield from declared_names(child)


def _unknown(path: Path, names: Sequence[str], known: dict[str, Any]) -> Iterator[Finding]:
    for name in sorted(names)[:_MAX_UNKNOWN]:
        mistake, remedy = f"has an unknown property {name}", suggestion(name, known)
        if nameable(name) != name:
            mistake, remedy = "has a property that is not allowed", f"use only {', '.join(known)}"
        yield Finding(path, mistake, remedy, is_unknown_property=True)


def _condition(schema: dict[str, Any], schema_path: Sequence[str | int]) -> str:
    """Return " when status is COMPLETED" for a rule that holds only then."""
    if "then" not in schema_path:
        return ""
    branch = list(schema_path).index("then")
    tested = _at(schema, schema_path[:branch])["if"].get("properties", {})
    tests = [f"{name} is {expectation(rule)}" for name, rule in tested.items()]
    return f" when {' and '.join(tests)}" if tests else ""


def _at(document: Any, path: Sequence[str | int]) -> Any:
    return reduce(lambda node, part: node[part], path, document)
