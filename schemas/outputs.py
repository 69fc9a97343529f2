"""The output types: one schema file in `outputs/` for each, and nothing else names them."""

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any

from schemas.loader import load, names
from schemas.paths import nameable
from schemas.validation import Violation, violations
from schemas.wire import strict_subset

_FOLDER = "outputs/"


@dataclass(frozen=True, slots=True)
class OutputType:
    """A type of content. `schema` accepts its values; `wire` is what the model is asked to follow.

    The two documents are shared by all callers and must not be changed.
    """

    name: str
    schema: dict[str, Any]
    wire: dict[str, Any]
    description: str
    schema_name: str

    def violations(self, value: Any, limit: int = 5) -> list[Violation]:
        """Return the first `limit` rules of this type that `value` breaks; none if it is one."""
        return violations(self.schema_name, value, limit)


def output_type(name: str) -> OutputType | None:
    """Return the type called `name` or that has it as an alias, in its newest version; None if none has."""
    return _types().get(name)


def output_types() -> tuple[str, ...]:
    """Return the names of all types, sorted, without aliases."""
    return tuple(sorted({each.name for each in _types().values()}))


def unknown_output_type(name: str) -> str:
    """Return what to say of `name`, which no type has: what it was meant to be, or which types there are."""
    known = {each.casefold(): each for each in _types()}
    close = difflib.get_close_matches(name.casefold(), list(known), n=1)
    remedy = f"did you mean {known[close[0]]}?" if close else f"use one of {', '.join(output_types())}"
    # A name may be content.
    shown = f"is {name}, which is" if nameable(name) == name else "is"
    return f"{shown} no output type; {remedy}"


@cache
def _types() -> dict[str, OutputType]:
    types = {}
    for schema_name in sorted(names(), key=_version):
        if schema_name.startswith(_FOLDER):
            schema = load(schema_name)
            name = schema_name.removeprefix(_FOLDER).rsplit(".v", 1)[0]
            types[name] = OutputType(name, schema, strict_subset(schema), schema["description"], schema_name)
    aliases = {alias: each for each in types.values() for alias in each.schema.get("x-aliases", ())}
    return aliases | types


def _version(schema_name: str) -> int:
    return int(schema_name.rsplit(".v", 1)[1])
