"""What ends a command early (Ctrl-C, SIGTERM, a closed terminal), where something must be put back first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def endings_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal interrupt as Ctrl-C does; what is ignored (nohup) stays so."""
    endings = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) == signal.SIG_DFL]
    with _handled(endings, signal.default_int_handler):
        yield


@contextmanager
def endings_ignored() -> Iterator[None]:
    """Go on to the end, whoever is in a hurry."""
    with _handled([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], signal.SIG_IGN):
        yield


@contextmanager
def _handled(signals: list[signal.Signals], handler: Callable[..., Any] | signal.Handlers) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, was)
