"""The judge: pure-Python jsonschema, with the two `x-` keywords written a second time."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import schemas

FOLDER = Path(schemas.__file__).parent


def _member_of(
    _validator: Any, pairs: dict[str, str], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    for name, array in pairs.items() if isinstance(instance, dict) else ():
        options = instance.get(array)
        if name in instance and type(options) is list and options and options.count(instance[name]) == 0:
            yield ValidationError(f"{name} is no member")


def _unique_by(_validator: Any, name: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    seen = set()
    for item in instance if isinstance(instance, list) else ():
        value = item.get(name) if isinstance(item, dict) else None
        if isinstance(value, str) and value in seen:
            yield ValidationError(f"{name} is there twice")
        seen.add(value if isinstance(value, str) else None)


Judge = validators.extend(Draft202012Validator, {"x-memberOf": _member_of, "x-uniqueBy": _unique_by})


def on_disk(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


@cache
def judge(name: str) -> Any:
    """The judge of the file as it lies on disk: jsonschema resolves the references itself."""
    files = [on_disk(each) for each in schemas.names()]
    # A referenced file with a "$schema" makes jsonschema return to its stock class, without our keywords.
    resources = [(each["$id"], DRAFT202012.create_resource(each)) for each in files if each.pop("$schema")]
    registry = Registry().with_resources(resources)
    return Judge(on_disk(name), registry=registry)


def examples(name: str) -> list[Any]:
    return schemas.load(name)["examples"]


def objects(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield every object of a document with its path."""
    if isinstance(node, dict):
        yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from objects(child, (*path, key))


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value of a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        document = document[part]
    return document


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copied = copy.deepcopy(document)
    at(copied, path[:-1])[path[-1]] = value
    return copied


_TRICKY_TEXT = [
    "",
    " ",
    "\n",
    "v1\n",
    "\u200b",
    "\x1c",
    "\ufeff",
    "a" * 256,
    "a" * 257,
    "0.25\n",
    "mcq",
    "STUB",
]
_TRICKY = [0, -1, 1.0, 1.5, 100, 101, 1e300, 2**70, True, None, [], {}, [[]], "KILL_SWITCH", "COMPLETED"]
TRICKY = st.sampled_from([*_TRICKY_TEXT, *_TRICKY])
JSON = st.recursive(
    TRICKY
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutants(draw: st.DrawFn, name: str, values: st.SearchStrategy[Any] = JSON) -> Any:
    """Draw a valid example of the schema `name` in which one to three places were changed."""
    document = draw(st.sampled_from(examples(name)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)))
        document = draw(st.sampled_from([_replace, _remove, _add, _repeat]))(draw, document, path, values)
    return document


def _replace(draw: Any, document: Any, path: Any, values: Any) -> Any:
    return replaced(document, path, draw(values))


def _remove(_draw: Any, document: Any, path: Any, _values: Any) -> Any:
    copied = copy.deepcopy(document)
    if path:
        del at(copied, path[:-1])[path[-1]]
    return copied


def _add(draw: Any, document: Any, path: Any, values: Any) -> Any:
    target = at(document, path)
    if isinstance(target, list):
        return replaced(document, path, [*target, draw(values)])
    if isinstance(target, dict):
        name = draw(
            st.text(max_size=6) | st.sampled_from(["get", "eta", "temperature", "topic", "compression"])
        )
        return replaced(document, path, target | {name: draw(values)})
    return document


def _repeat(_draw: Any, document: Any, path: Any, _values: Any) -> Any:
    target = at(document, path)
    return replaced(document, path, [*target, *target[:1]]) if isinstance(target, list) else document
