"""The one way in which a command says no: a sentence on stderr, exit 1."""

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
