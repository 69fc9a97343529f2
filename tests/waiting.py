"""Waits for what another process, thread or server will bring about and does not announce."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL_SECONDS = 0.02  # short beside starting anything, long beside one look at Redis or at a file


def eventually(
    found: Callable[[], T], *, within_seconds: float = 30, saying: str = "it never came to be"
) -> T:
    """The first truthy value of `found`, asked again and again.

    For what offers no event to await; where one exists, await that. How long it takes is no part of any
    test: `within_seconds` only bounds a wait that would be in vain.

    Raises:
        AssertionError: there was none in time; the message ends with what `found` answered last.
    """
    give_up_mono = time.monotonic() + within_seconds
    while True:
        # Asked once more after the last pause, so that a process that was held up fails nothing.
        late = time.monotonic() >= give_up_mono
        value = found()
        if value:
            return value
        if late:
            raise AssertionError(f"{saying} (within {within_seconds:g} s; the last answer was {value!r})")
        time.sleep(INTERVAL_SECONDS)
