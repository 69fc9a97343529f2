"""What ends a command early (Ctrl-C, SIGTERM, a closed terminal), where something must be put back first."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
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

    with _handled(_heeded(), hold):
        yield interruptible


def run_cancellable(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` comes to, on a loop of its own; what ends a command cancels it, and then ends it.

    Raises:
        CancelledError: it was cancelled, and has put back what it must.
        KeyboardInterrupt: it was told a second time, perhaps because that takes too long.

    """

    async def cancelled_by_signals() -> T:
        loop, task, endings = asyncio.get_running_loop(), asyncio.ensure_future(work), _heeded()

        def cancel() -> None:
            task.cancel()
            for each in endings:
                loop.remove_signal_handler(each)

        for each in endings:
            loop.add_signal_handler(each, cancel)
        return await task

    with _handled(_heeded(), signal.default_int_handler):
        return asyncio.run(cancelled_by_signals())


@contextmanager
def termination_ignored() -> Iterator[None]:
    """Go on to the end, whoever is in a hurry."""
    with _handled(_ENDINGS, signal.SIG_IGN):
        yield


def _heeded() -> list[signal.Signals]:
    return [each for each in _ENDINGS if signal.getsignal(each) != signal.SIG_IGN]


@contextmanager
def _handled(signals: list[signal.Signals], handler: Callable[..., Any] | signal.Handlers) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, was in before.items():
            signal.signal(each, was)
