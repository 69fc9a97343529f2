"""Runs one long-lived asyncio loop in a thread of its own: the home of every model call of a process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

# Threads for the blocking reads of the dial right before a request.
_READERS = 32
_MEANWHILE_SECONDS = 1.0


@dataclass(slots=True)
class ModelLoop:
    """The loop. One for each process, started after any fork."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _jobs: set[asyncio.Task[Any]] = field(default_factory=set)

    def start(self) -> None:
        """Run the loop in its thread."""
        self.loop.set_default_executor(ThreadPoolExecutor(_READERS, thread_name_prefix="dial-reader"))
        self._thread = threading.Thread(target=self.loop.run_forever, name="model-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and wait for its result, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def run_job(self, coroutine: Coroutine[Any, Any, T], meanwhile: Callable[[], None] | None = None) -> T:
        """Run as `run` does, in reach of `cancel_jobs`, which makes it raise CancelledError.

        `meanwhile` is called once a second by the thread that waits.
        """
        future = asyncio.run_coroutine_threadsafe(self._as_job(coroutine), self.loop)
        if meanwhile:
            while wait([future], _MEANWHILE_SECONDS).not_done:
                meanwhile()
        return future.result()

    def cancel_jobs(self) -> None:
        """Cancel every job that runs now, from any thread; each unwinds before its `run_job` ends."""
        self.loop.call_soon_threadsafe(lambda: [job.cancel() for job in self._jobs])

    def stop(self) -> None:
        """Cancel what still runs, then end the loop and its thread."""
        if self._thread is None:
            return
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    async def _as_job(self, coroutine: Coroutine[Any, Any, T]) -> T:
        job = asyncio.ensure_future(coroutine)
        self._jobs.add(job)
        try:
            return await job
        finally:
            self._jobs.discard(job)

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
