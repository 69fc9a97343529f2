"""Finishes work that has begun, even if the task waiting for it is cancelled."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# A healthy Redis has taken everything by then, and a worker that is stopping has a few seconds more.
LAST_SECONDS = 2.0


async def to_its_end(work: Coroutine[Any, Any, T], *, concludes: bool = False, paid_for: bool = False) -> T:
    """Return the result of `work`, however long it takes.

    Once its task is cancelled, `work` has `LAST_SECONDS` left; what was `paid_for` has them only once the
    task is cancelled a second time: with that, a worker that stops waits for Redis until it is told to end at
    once, or is killed. Work that `concludes` the task makes its result known: a cancellation after that comes
    too late.

    Raises:
        CancelledError: the task was cancelled; `work` has ended all the same, or had its time.

    """
    working = asyncio.ensure_future(work)
    task = asyncio.current_task()
    with contextlib.suppress(asyncio.CancelledError):
        if task is None or not task.cancelling():
            return await asyncio.shield(working)
    while paid_for and not working.done() and task and task.cancelling() == 1:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({working})
    loop = asyncio.get_running_loop()
    until_mono = loop.time() + LAST_SECONDS
    while not working.done() and (left := until_mono - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({working}, timeout=left)
    if concludes and working.done() and not working.cancelled():
        return working.result()
    working.cancel()
    raise asyncio.CancelledError
