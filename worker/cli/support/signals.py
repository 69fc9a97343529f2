"""What ends a command early (Ctrl-C, SIGTERM, a closed terminal), where something must be put back first."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

_ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@contextmanager
def termination_held() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Hold Ctrl-C, SIGTERM and a closed terminal back, but inside what is yielded: there they interrupt."""
    held, open_now = False, False

    def hold(*_: object) -> None:
        nonlocal held
        held = True
        if open_now:
            raise KeyboardInterrupt

    @contextmanager
    def interruptible() -> Iterator[None]:
        nonlocal open_now
        open_now = True
        try:
            if held:
                raise KeyboardInterrupt
            yield
        finally:
            open_now = False

    endings = [each for each in _ENDINGS if signal.getsignal(each) != signal.SIG_IGN]
    with _handled(endings, hold):
        yield interruptible


@contextmanager
def termination_ignored() -> Iterator[None]:
    """Go on to the end, whoever is in a hurry."""
    with _handled(_ENDINGS, signal.SIG_IGN):
        yield


@contextmanager
def _handled(signals: list[signal.Signals], handler: Callable[..., Any] | signal.Handlers) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, was)
