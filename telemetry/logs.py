"""The log: one JSON object a line, fields rather than sentences, and nothing of anyone's content."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

_FIELDS = "slotgen_fields"
# Loggers whose records may carry task arguments, results, prompts or answers: Celery's tracer logs the
# return value at INFO and the arguments with every error.
_TALKATIVE = ("celery.app.trace", "celery.worker.strategy", "celery.worker.request")
_CHATTY = ("openai", "httpx", "httpx2", "httpcore2", "aiohttp", "asyncio", "kombu", "celery", "redis")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of ASCII JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what cannot be written as JSON becomes the name of its type."""
        fields = getattr(record, _FIELDS, None)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "level": record.levelname,
            "logger": record.name,
        }
        line |= {"event": record.msg} | fields if fields is not None else _foreign(record)
        if record.exc_info and record.exc_info[1] is not None:
            line |= whereabouts(record.exc_info[1])
        return json.dumps(line, default=_type_name, ensure_ascii=True)


def _foreign(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a library's record; a talkative one keeps only the place it came from."""
    if record.name.startswith(_TALKATIVE):
        return {"event": "log", "at": f"{record.filename}:{record.lineno}"}
    try:
        return {"event": "log", "message": record.getMessage()}
    except (TypeError, ValueError):
        return {"event": "log", "message": str(record.msg)}


def whereabouts(error: BaseException) -> dict[str, str]:
    """Return the type of `error` and the line that raised it; its text may quote content, and stays out."""
    kind = type(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = (
        f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    )
    return {"error_type": f"{kind.__module__}.{kind.__qualname__}", "error_at": place}


def _type_name(value: object) -> str:
    return f"<{type(value).__name__}>"


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send every log record of the process to `stream` (default stdout) as JSON lines. Idempotent.

    `level` is DEBUG, INFO, WARNING or ERROR. Libraries stay at WARNING, whatever it is.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each.formatter, JsonFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.captureWarnings(capture=True)
    root.setLevel(level)
    for name in _CHATTY + _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def emit(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log `event` (snake_case, past tense) with its fields as one JSON line."""
    logger.log(level, event, extra={_FIELDS: fields})
