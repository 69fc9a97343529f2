"""Measures documents without recursion, so that no document can exhaust the stack."""

from collections.abc import Iterable
from typing import Any


def depth(value: Any) -> int:
    """Return how many levels of arrays and objects `value` has: 0 for a scalar, 1 for `[]`."""
    levels, level = 0, _containers([value])
    while level:
        levels += 1
        level = _containers(child for each in level for child in _children(each))
    return levels


def has_more_values_than(count: int, value: Any) -> bool:
    """Whether `value` holds more than `count` values, itself and all that it nests included."""
    waiting, seen = [value], 0
    while waiting and seen <= count:
        waiting.extend(_children(waiting.pop()))
        seen += 1
    return seen > count


def _containers(values: Iterable[Any]) -> list[Any]:
    return [each for each in values if isinstance(each, dict | list)]


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
