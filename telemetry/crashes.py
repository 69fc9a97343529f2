"""Reports errors that were not caught: Python's own way prints the error's text, which may quote content."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

Report = Callable[[str, BaseException, str | None], None]


def report_crashes(report: Report) -> None:
    """Call `report(event, error, thread_name)` for what the process, a thread or a finalizer raised last.

    Ctrl-C and a thread's SystemExit keep Python's own way.
    """

    def process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            report("process_crashed", error, None)

    def thread(crash: threading.ExceptHookArgs) -> None:
        if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
            report("thread_crashed", crash.exc_value, crash.thread.name if crash.thread else None)

    def finalizer(crash: Any) -> None:
        if crash.exc_value is not None:
            report("finalizer_crashed", crash.exc_value, None)

    sys.excepthook = process
    threading.excepthook = thread
    sys.unraisablehook = finalizer
