"""Reads records that a process of slotgen left as JSON: each field is what it should be, or there is none."""

import dataclasses
import json
import math
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")
# As far as every time, count and amount of ours goes, and far beyond.
_MOST = 2**63


def read_record(kind: type[T], raw: bytes) -> T | None:
    """Return the record in `raw`; None for what is none, or of another version, which says other things."""
    try:
        return as_record(kind, json.loads(raw))
    except (TypeError, ValueError, RecursionError):
        return None


def as_record(kind: type[T], fields: dict[str, Any]) -> T:
    """Return the record that has these fields. Raises TypeError or ValueError."""
    hints = get_type_hints(kind)
    made = kind(**fields)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass, says the caller
        _let_pass(getattr(made, field.name), hints[field.name])
    return made


def _let_pass(value: Any, wanted: Any) -> None:
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < _MOST):
        raise ValueError("is no number of ours")
    # Of a tuple its items are records, and were read as such.
    fits = isinstance(value, getattr(wanted, "__origin__", wanted))
    if not (fits or (isinstance(value, int) and isinstance(float(value), wanted))):
        raise TypeError(f"is no {wanted}")
