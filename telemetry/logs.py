"""The log: one JSON object per line, fields rather than sentences, and never any content."""

import json
import logging
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TextIO

from telemetry.error_location import error_location
from telemetry.third_party_logs import sanitise

# At 1 kB a line this is at most 10 MB, and several seconds of a busy worker.
MOST_LINES = 10_000
_LAST_WORDS_SECONDS = 2.0
# Where a record has the fields of its event.
FIELDS = "slotgen_fields"
_crashes = logging.getLogger("slotgen.crashes")
# Below WARNING these log every task and request; Celery's tracer logs results at INFO.
_CHATTY = ("openai", "httpx", "httpx2", "httpcore2", "aiohttp", "asyncio", "kombu", "celery", "redis")
_LOUDEST_OF_CELERY = ("celery.app.trace", "celery.worker.strategy", "celery.worker.request")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of ASCII JSON: time (RFC 3339, UTC, ms), level, logger, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a value that JSON cannot represent becomes the name of its type."""
        head: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "level": record.levelname,
            "logger": record.name,
        }
        fields = getattr(record, FIELDS, None)
        line = head | (sanitise(record) if fields is None else {"event": record.msg} | fields) | head
        if record.exc_info and record.exc_info[1] is not None:
            line |= error_location(record.exc_info[1])
        return _dumps(line)


class JsonHandler(QueueHandler):
    """Hands each line to a thread that writes it, so that a reader that stops reading delays nothing.

    A line that finds `MOST_LINES` waiting, or a stream that takes none, is dropped, and counted by `on_drop`.
    """

    def __init__(self, stream: TextIO) -> None:
        # Its put may be interrupted by another one of the same thread (a signal's handler, a finalizer); that
        # of a Queue would wait for itself, and whoever logs afterwards for it.
        self.lines: SimpleQueue[str | threading.Event] = SimpleQueue()
        super().__init__(self.lines)
        self.on_drop: Callable[[], object] = int
        self.setFormatter(JsonFormatter())
        self._writer = _Writer(self.lines, stream, self.drop_line)
        self._writer.start()

    def is_alive(self) -> bool:
        """Whether the thread that writes the lines runs."""
        return bool(self._writer._thread and self._writer._thread.is_alive())  # noqa: SLF001 - a test holds on to the name

    def enqueue(self, record: Any) -> None:
        """Hand the line on, or drop it."""
        if self.lines.qsize() < MOST_LINES:
            self.lines.put(record)
        else:
            self.drop_line()

    def prepare(self, record: logging.LogRecord) -> str:
        """Return the line, formatted in the logging thread: its values may change afterwards."""
        return self.format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging names it so
        """Count the line; the default prints the record's arguments to stderr."""
        del record
        self.drop_line()

    def drop_line(self) -> None:
        """Count a line that is lost."""
        self.on_drop()

    def flush(self) -> None:
        """Return once what was logged is written, or after 2 s: logging calls this as the process ends."""
        written = threading.Event()
        self.lines.put(written)
        written.wait(_LAST_WORDS_SECONDS)


class _Writer(QueueListener):
    """Writes the lines to `stream`, and flushes each; sets an event once all before it are written."""

    def __init__(
        self, lines: "SimpleQueue[str | threading.Event]", stream: TextIO, on_drop: Callable[[], object]
    ) -> None:
        super().__init__(lines)
        self.stream, self.on_drop = stream, on_drop

    def start(self) -> None:
        """Begin to write, in a thread called `log`."""
        super().start()
        if self._thread:
            self._thread.name = "log"

    def handle(self, record: Any) -> None:
        """Write a line; count it if the stream is closed or full."""
        if isinstance(record, threading.Event):
            record.set()
            return
        try:
            self.stream.write(f"{record}\n")
            self.stream.flush()
        except (OSError, ValueError):
            self.on_drop()


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send everything the process logs to `stream` (default stdout) as JSON lines. Idempotent.

    That is every log record, every Python warning, and every crash of a thread or of the process. `level`
    is DEBUG, INFO, WARNING or ERROR; libraries stay at WARNING or above, whatever it is.

    Raises:
        ValueError: there is no such level.

    """
    handler = JsonHandler(stream or sys.stdout)
    root = logging.getLogger()
    root.setLevel(level)
    for old in [each for each in root.handlers if isinstance(each, JsonHandler)]:
        old.flush()
        root.removeHandler(old)
    root.addHandler(handler)
    for name in _CHATTY + _LOUDEST_OF_CELERY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = _process_crashed
    threading.excepthook = _thread_crashed
    sys.unraisablehook = _finalizer_crashed


def count_dropped_lines(on_drop: Callable[[], object]) -> None:
    """Call `on_drop` for each line dropped from now on. Call this after `configure`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, JsonHandler):
            handler.on_drop = on_drop


def log_is_alive() -> bool:
    """Whether the log is being written. Call this after `configure`."""
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, JsonHandler)]
    return all(each.is_alive() for each in handlers)


def emit(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log `event` (snake_case, past tense) with its fields as one JSON line."""
    logger.log(level, event, extra={FIELDS: fields})


# Python's own hooks print the error's text, which may quote content.
def _process_crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _crashed("process_crashed", error)


def _thread_crashed(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
        _crashed("thread_crashed", crash.exc_value, crash.thread.name if crash.thread else None)


def _finalizer_crashed(crash: Any) -> None:
    if crash.exc_value is not None:
        _crashed("finalizer_crashed", crash.exc_value)


def _crashed(event: str, error: BaseException, thread: str | None = None) -> None:
    emit(_crashes, logging.CRITICAL, event, thread=thread, **error_location(error))


def _dumps(line: dict[str, Any]) -> str:
    try:
        return json.dumps(line, default=_kind, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({name: _writable(value) for name, value in line.items()}, default=_kind)


def _writable(value: Any) -> Any:
    """Return `value`, or the name of its type if it is not JSON: NaN, a cycle, keys that are not text."""
    try:
        json.dumps(value, default=_kind, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _kind(value)
    return value


def _kind(value: object) -> str:
    return f"<{type(value).__name__}>"
