"""Says where in a document something is, without repeating what a producer wrote there."""

import re
from collections.abc import Collection

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_HIDDEN = "a property"

Path = tuple[str | int, ...]


def nameable(name: str, declared: Collection[str] = ()) -> str:
    """Return `name` when a schema declares it or it looks like a field's name, else "a property"."""
    return name if name in declared or _PLAIN.fullmatch(name) else _HIDDEN


def dotted(path: Path, declared: Collection[str]) -> str:
    """Return `jobs[0].kind` for `("jobs", 0, "kind")`; names that may be content are replaced."""
    steps = [f"[{part}]" if isinstance(part, int) else f".{nameable(part, declared)}" for part in path]
    # No name that is shown has a blank.
    return "".join(steps).removeprefix(".").replace(_HIDDEN, f"({_HIDDEN})")
