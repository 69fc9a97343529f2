"""Says of an error what may be said: its type and the line that raised it, never its text."""

from pathlib import PurePath
from types import TracebackType


def type_name(error: type[BaseException]) -> str:
    """Return the qualified name of `error`, such as `redis.exceptions.TimeoutError`."""
    return f"{error.__module__}.{error.__qualname__}"


def error_location(error: BaseException) -> dict[str, str]:
    """Return the type of `error` and where it was raised; its text may quote content, and stays out.

    `{"error_type": "builtins.ValueError", "error_at": "file.py:123 in fn"}`; `error_at` is "" when the error
    was never raised.
    """
    return {"error_type": type_name(type(error)), "error_at": _place(error.__traceback__)}


def _place(trace: TracebackType | None) -> str:
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{PurePath(code.co_filename).name}:{trace.tb_lineno} in {code.co_name}"
