"""The log: one JSON object a line, fields rather than sentences, and nothing of anyone's content."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from telemetry.crashes import report_crashes
from telemetry.error_location import error_location
from telemetry.third_party_logs import sanitise

__all__ = ["JsonFormatter", "configure", "emit", "error_location"]

_FIELDS = "slotgen_fields"
# Below WARNING these tell of every task and request; Celery's tracer logs results at INFO.
_CHATTY = ("openai", "httpx", "httpx2", "httpcore2", "aiohttp", "asyncio", "kombu", "celery", "redis")
_LOUDEST_OF_CELERY = ("celery.app.trace", "celery.worker.strategy", "celery.worker.request")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of ASCII JSON: time (RFC 3339, UTC, ms), level, logger, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a value that JSON has no form for becomes the name of its type."""
        head: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "level": record.levelname,
            "logger": record.name,
        }
        fields = getattr(record, _FIELDS, None)
        line = head | (sanitise(record) if fields is None else {"event": record.msg} | fields) | head
        if record.exc_info and record.exc_info[1] is not None:
            line |= error_location(record.exc_info[1])
        return _dumps(line)


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes the lines, and flushes each."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging names it so
        """Say nothing: the default prints the record's arguments to stderr, and a lost line is no outcome."""


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send what the process says to `stream` (default stdout) as JSON lines. Idempotent.

    That is every log record, every Python warning, and every crash of a thread or of the process. `level`
    is DEBUG, INFO, WARNING or ERROR; libraries stay at WARNING or above, whatever it is.

    Raises:
        ValueError: there is no such level.

    """
    handler = JsonHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.setLevel(level)
    for old in [each for each in root.handlers if isinstance(each, JsonHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in _CHATTY + _LOUDEST_OF_CELERY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    report_crashes(_crashed)


def emit(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log `event` (snake_case, past tense) with its fields as one JSON line."""
    logger.log(level, event, extra={_FIELDS: fields})


def _crashed(event: str, error: BaseException, thread: str | None) -> None:
    emit(
        logging.getLogger("slotgen.crashes"), logging.CRITICAL, event, thread=thread, **error_location(error)
    )


def _dumps(line: dict[str, Any]) -> str:
    try:
        return json.dumps(line, default=_kind, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({name: _writable(value) for name, value in line.items()}, default=_kind)


def _writable(value: Any) -> Any:
    """Return `value`, or the name of its type when it is not JSON: NaN, a loop, keys that are not text."""
    try:
        json.dumps(value, default=_kind, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _kind(value)
    return value


def _kind(value: object) -> str:
    return f"<{type(value).__name__}>"
