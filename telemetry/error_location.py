"""Describes an error without its text: its type and the line that raised it."""

import traceback
from pathlib import PurePath


def error_location(error: BaseException) -> dict[str, str]:
    """Return the type of `error` and where it was raised; its text is left out, because it may quote content.

    `{"error_type": "builtins.ValueError", "error_at": "file.py:123 in fn"}`; `error_at` is "" when the error
    was never raised.
    """
    kind, place = type(error), ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = f"{PurePath(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
    return {"error_type": f"{kind.__module__}.{kind.__qualname__}", "error_at": place}
