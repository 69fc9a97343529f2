"""Turns one error of the validation engine into our words: never its message, which quotes the content."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from jsonschema_rs import ValidationError

from schemas.expectation import expectation
from schemas.keywords import MEMBER_OF, UNIQUE_BY
from schemas.paths import Path, nameable
from schemas.wording import mistyped, problem, suggestion

# An object can have thousands of unknown properties; nobody reads more than the first few.
_MAX_UNKNOWN = 20


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """What is wrong at `path` (parts of the instance's path, unsafe to show) and what to do."""

    path: Path
    problem: str
    remedy: str
    is_unknown_property: bool = False


def findings(schema: dict[str, Any], instance: Any, error: ValidationError) -> Iterator[SchemaFinding]:
    """Yield what `error` means, for `instance` against the resolved `schema`."""
    path: Path = tuple(error.instance_path)
    keyword: str = error.kind.name
    parent = _at(schema, error.schema_path[:-1])
    when = _condition(schema, error.schema_path)
    if keyword == "required":
        yield _missing(path, error.kind.as_dict()["property"], parent, when)
    elif keyword == "additionalProperties":
        yield from _unknown(path, error.kind.as_dict()["unexpected"], parent)
    elif keyword == "falseSchema":
        yield SchemaFinding(path, "is not allowed here", "remove it")
    elif keyword == "type":
        yield SchemaFinding(
            path, mistyped(_at(instance, path), parent["type"]) + when, f"use {expectation(parent)}"
        )
    else:
        yield _broken(path, keyword, parent, error.kind.as_dict(), when)


def declared_names(schema: Any) -> Iterator[str]:
    """Yield every property name that `schema` declares: these are never content."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for child in children:
        yield from declared_names(child)


def _missing(path: Path, name: str, parent: dict[str, Any], when: str) -> SchemaFinding:
    wanted = expectation(parent.get("properties", {}).get(name))
    return SchemaFinding((*path, name), f"is missing{when}", f"add {wanted}")


def _unknown(path: Path, names: Sequence[str], parent: dict[str, Any]) -> Iterator[SchemaFinding]:
    known = parent.get("properties", {})
    for name in sorted(names)[:_MAX_UNKNOWN]:
        shown = nameable(name)
        if shown == name:
            yield SchemaFinding(
                path, f"has an unknown property {name}", suggestion(name, known), is_unknown_property=True
            )
        else:
            yield SchemaFinding(
                path,
                "has a property that is not allowed",
                f"use only {', '.join(known)}",
                is_unknown_property=True,
            )


def _broken(
    path: Path, keyword: str, parent: dict[str, Any], kind: dict[str, Any], when: str
) -> SchemaFinding:
    if keyword == MEMBER_OF:
        name = kind["message"]
        array = parent[keyword][name]
        return SchemaFinding((*path, name), f"is not one of {array}", f"repeat one of {array} word for word")
    if keyword == UNIQUE_BY:
        return SchemaFinding(
            path, f"has the same {parent[keyword]} twice", f"give each item its own {parent[keyword]}"
        )
    said = problem(keyword, parent.get(keyword))
    if keyword == "uniqueItems":
        return SchemaFinding(path, said + when, "make the items differ")
    return SchemaFinding(path, said + when, f"use {expectation(parent)}")


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
