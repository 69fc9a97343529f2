"""The one way in which a command says no: a sentence on stderr, exit 1."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class CliError(Exception):
    """What was wrong, with the value, and what to do."""


@contextmanager
def refuses(*errors: type[Exception], before: str = "", after: str = "") -> Iterator[None]:
    """Turn `errors`, whose texts are sentences already, into a CliError, with words `before` and `after`."""
    try:
        yield
    except errors as error:
        raise CliError(f"{before}{error}{after}") from None


def bug(error: Exception) -> CliError:
    """Return `error`, which is a bug of ours, as a sentence without its own text: that may hold anything."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return CliError(
        f"slotgen broke: {type(error).__name__} at {where.filename}:{where.lineno}; "
        "this is a bug, please report it with this line"
    )
