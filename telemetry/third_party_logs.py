"""Decides what of a library's log record may be told: Celery, kombu and asyncio quote messages and results.

Told are the words that stand in the library's own source, the place, numbers, and the types of all else.
"""

import linecache
import logging
import re
from collections.abc import Mapping
from typing import Any

from telemetry.error_location import type_name

_PLAIN = (bool, int, float, type(None))
_WARNING = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d+): (?P<category>\w+): ")


class _Kind:
    """Stands for an argument that is not told, in `%s` and in `%r`."""

    __slots__ = ("name",)

    def __init__(self, value: object) -> None:
        self.name = type_name(type(value)) if isinstance(value, BaseException) else type(value).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"


def sanitise(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a library's record: event `log`, `at`, and `message` where there is a safe one."""
    if record.name == "py.warnings":
        return _warning(record)
    message = _message(record)
    known = {"message": message} if message else {}
    return {"event": "log", "at": f"{record.filename}:{record.lineno}"} | known


def _message(record: logging.LogRecord) -> str:
    template = record.msg.strip().partition("\n")[0] if isinstance(record.msg, str) else ""
    if record.name == "asyncio":
        # Its words come from elsewhere in asyncio, followed by the repr of a callback and its arguments.
        return "".join(re.findall(r"\A[A-Za-z ]+", template)).strip()
    if not template or not _is_literal(template, record.pathname):
        return ""
    return _rendered(template, record.args)


def _is_literal(template: str, pathname: str) -> bool:
    """Whether `template` stands in the file that logged it; a text put together at run time does not."""
    return any(template in line for line in linecache.getlines(pathname))


def _rendered(template: str, args: Any) -> str:
    if not args:
        return template
    shown: Any = (
        {name: _shown(value) for name, value in args.items()}
        if isinstance(args, Mapping)
        else tuple(_shown(value) for value in args)
    )
    try:
        return str(template % shown)
    except (TypeError, ValueError, KeyError):
        # Part of the arguments belongs to lines that were cut off, or to a format such as %d.
        return template


def _shown(value: object) -> object:
    return value if type(value) in _PLAIN else _Kind(value)


def _warning(record: logging.LogRecord) -> dict[str, Any]:
    found = _WARNING.match(record.getMessage())
    if found is None:
        return {"event": "log", "message": "warning"}
    file = found["file"].rsplit("/", 1)[-1]
    return {"event": "log", "message": found["category"], "at": f"{file}:{found['line']}"}
