"""Reads records that a slotgen process left as JSON: either every field is right, or there is no record."""

import dataclasses
import json
import math
from functools import cache
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")
# Far beyond any time, count or amount of ours.
_MOST = 2**63


def read_record(kind: type[T], raw: bytes) -> T | None:
    """Return the record in `raw`; None if it is not one, or is of another version with other fields."""
    try:
        return as_record(kind, json.loads(raw))
    except (TypeError, ValueError, RecursionError):
        return None


def as_record(kind: type[T], fields: dict[str, Any]) -> T:
    """Return the record that has these fields. Raises TypeError or ValueError."""
    made = kind(**fields)
    for name, wanted in _hints(kind).items():  # type: ignore[arg-type]  # a class has a hash
        _let_pass(getattr(made, name), wanted)
    return made


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    # Found anew for each record of a history they would take two thirds of the time.
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _let_pass(value: Any, wanted: Any) -> None:
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < _MOST):
        raise ValueError("is no number of ours")
    # Of a tuple its items are records, and were read as such.
    fits = isinstance(value, getattr(wanted, "__origin__", wanted))
    if not (fits or (isinstance(value, int) and isinstance(float(value), wanted))):
        raise TypeError(f"is no {wanted}")
