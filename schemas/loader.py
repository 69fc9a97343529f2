"""Reads the schema files that ship with this package, once, and resolves what they refer to."""

import json
import re
from functools import cache
from importlib import resources
from typing import Any

_NAME = re.compile(r"[A-Za-z]+\.v[1-9][0-9]*")
_SUFFIX = ".json"
_URN = "urn:slotgen:"


class UnknownSchema(LookupError):  # noqa: N818 - reads as what it is
    """There is no schema of that name; the text lists those there are."""


@cache
def names() -> tuple[str, ...]:
    """Return the name of every schema, sorted: `job.v1`, `outputs/quiz.v1`."""
    root = resources.files("schemas")
    files = [each.name for each in root.iterdir()]
    files += [f"outputs/{each.name}" for each in (root / "outputs").iterdir()]
    return tuple(sorted(file.removesuffix(_SUFFIX) for file in files if is_name(file.rsplit("/")[-1])))


def is_name(file: str) -> bool:
    """Whether a file of that name, without its folder, is read as a schema: `job.v1.json`."""
    return file.endswith(_SUFFIX) and _NAME.fullmatch(file.removesuffix(_SUFFIX)) is not None


def load(name: str) -> dict[str, Any]:
    """Return the schema `name` (`job.v1`) with every `$ref` resolved: the caller's own copy.

    Raises:
        UnknownSchema: no file has that name.

    """
    schema: dict[str, Any] = json.loads(_resolved(name))
    return schema


@cache
def _resolved(name: str) -> str:
    if name not in names():
        raise UnknownSchema(f"there is no schema {name!r}; there are {', '.join(names())}")
    document = json.loads((resources.files("schemas") / f"{name}{_SUFFIX}").read_text("utf-8"))
    return json.dumps(_inline(document, document))


def _inline(node: Any, root: dict[str, Any]) -> Any:
    # No schema of ours refers to itself, and a resolved one needs no registry in any engine.
    if isinstance(node, list):
        return [_inline(each, root) for each in node]
    if not isinstance(node, dict):
        return node
    own = {key: _inline(value, root) for key, value in node.items() if key not in {"$ref", "$defs"}}
    return _target(node["$ref"], root) | own if "$ref" in node else own


def _target(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    if reference.startswith(_URN):
        *folders, name, version = reference.removeprefix(_URN).split(":")
        target = load("/".join([*folders, f"{name}.{version}"]))
        return {key: value for key, value in target.items() if key not in {"$schema", "$id", "examples"}}
    found: dict[str, Any] = _inline(root["$defs"][reference.removeprefix("#/$defs/")], root)
    return found
