"""Brings what has begun to its end although the task that waits for it is cancelled."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# A Redis that is well has taken everything by then; a worker that is stopping has some seconds more.
LAST_SECONDS = 2.0


async def to_its_end(work: Coroutine[Any, Any, T], *, concludes: bool = False) -> T:
    """Return the result of `work`, however long it takes.

    Once its task is cancelled, before or meanwhile and however often, `work` has `LAST_SECONDS` left. What
    `concludes` the task makes its result known: once that is done, whoever cancels comes too late.

    Raises:
        CancelledError: the task was cancelled; `work` has ended all the same, or had its time.

    """
    working = asyncio.ensure_future(work)
    task = asyncio.current_task()
    with contextlib.suppress(asyncio.CancelledError):
        if task is None or not task.cancelling():
            return await asyncio.shield(working)
    loop = asyncio.get_running_loop()
    until_mono = loop.time() + LAST_SECONDS
    while not working.done() and (left := until_mono - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({working}, timeout=left)
    if concludes and working.done() and not working.cancelled():
        return working.result()
    working.cancel()
    raise asyncio.CancelledError
