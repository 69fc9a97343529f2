"""Moments and durations as commands show and take them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import typer

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})(s|min|m|h|d)")


def moment(wall_ms: int) -> str:
    """Return a time in RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(text: str) -> str:
    """Let a duration pass that `seconds` can read. Raises typer.BadParameter."""
    if not _DURATION.fullmatch(text):
        raise typer.BadParameter(f"is {text!r}; give a number and a unit, such as 90s, 15m, 24h or 7d")
    return text


def seconds(text: str) -> int:
    """Return the seconds of a duration that `duration` let pass."""
    number, unit = _DURATION.fullmatch(text).groups()  # type: ignore[union-attr]  # `duration` has looked
    return int(number) * _UNITS[unit]
