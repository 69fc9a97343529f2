"""Numbers of things, moments, and spans of time in words, as an operator reads them."""

from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def counted(number: int, noun: str, of: int | None = None) -> str:
    """Return a number of things in words: `1 worker`, `1 of 1 worker`, `0 of 3 workers`."""
    total = number if of is None else of
    some = f"{number}" if of is None else f"{number} of {of}"
    return f"{some} {noun if total == 1 else f'{noun}s'}"


def span(seconds: float) -> str:
    """Return a span in its largest whole unit, in two for hours and days: `45 s`, `12 min`, `3 h 5 min`."""
    whole = int(seconds)
    for number, (unit, size) in enumerate(_UNITS):
        if whole >= size:
            count, rest = divmod(whole, size)
            below, below_size = _UNITS[min(number + 1, 3)]
            more = f" {rest // below_size} {below}" if number < 2 and rest >= below_size else ""  # noqa: PLR2004 - days and hours
            return f"{count} {unit}{more}"
    return "0 s"


def milliseconds(number: float) -> str:
    """Return how long something took: `12 ms`, `1.1 s`."""
    return f"{number:.0f} ms" if number < 999.5 else f"{number / 1000:.1f} s"  # noqa: PLR2004 - rounds to 1 s


def ago(milliseconds: float) -> str:
    """Return how long ago something was: `12 min ago`, `just now`."""
    seconds = milliseconds / 1000
    return "just now" if seconds < 1 else f"{span(seconds)} ago"


def moment(wall_ms: float, timespec: str = "seconds") -> str:
    """Return a time in RFC 3339, UTC, to the second, or as `timespec` of `datetime.isoformat` says."""
    try:
        at = datetime.fromtimestamp(wall_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{wall_ms} ms after 1970"  # from an impossible clock, or a stream id that somebody made up
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")
