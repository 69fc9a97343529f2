"""Reduces a library's log record to what cannot be content: Celery, kombu and asyncio quote messages.

What stays is where it was logged, the type and place of an error, and a sentence that is written here.
"""

import logging
import re
from typing import Any

from telemetry.error_location import error_location

# How libraries' messages about a worker's connections and asyncio's tasks begin. Any other message may have
# been built at run time, and is identified by the line that logged it.
_KNOWN = (
    "consumer: Cannot connect to %s: %s.",
    "Received and deleted unknown message.",
    "Received unregistered task of type %s.",
    "Soft time limit (%ss) exceeded for %s[%s]",
    "Frequent restarts detected: %r",
    "Unrecoverable error: %r",
    "Timer error: %r",
    "Exception in callback",
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending!",
    "Unclosed client session",
    "Unclosed connection",
    "Unclosed connector",
    "socket.accept() out of system resource",
)
# What a warning's category means where its text alone would say it.
_MEANT = {
    "SecurityWarning": "the worker runs as root, or as one who may become it; start it as a user of its own",
}
_WARNING = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d+): (?P<category>\w+): ")


def sanitise(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a library's record: event `log`, `at`, and `message` and the error where known."""
    if record.name == "py.warnings":
        return _warning(record)
    fields = {"event": "log", "at": f"{record.filename}:{record.lineno}"}
    said = record.msg.strip() if isinstance(record.msg, str) else ""
    known = next((each for each in _KNOWN if said.startswith(each)), None)
    if known:
        fields["message"] = known
    if isinstance(record.args, tuple):
        for error in (each for each in record.args if isinstance(each, BaseException)):
            fields |= error_location(error)
    return fields


def _warning(record: logging.LogRecord) -> dict[str, Any]:
    found = _WARNING.match(record.getMessage())
    if found is None:
        return {"event": "log", "message": "warning"}
    file = found["file"].rsplit("/", 1)[-1]
    message = ": ".join(filter(None, [found["category"], _MEANT.get(found["category"])]))
    return {"event": "log", "message": message, "at": f"{file}:{found['line']}"}
