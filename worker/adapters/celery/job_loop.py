"""Runs one long-lived asyncio loop in its own thread: every job of the process runs on it."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from telemetry import emit, error_location

T = TypeVar("T")

_log = logging.getLogger("slotgen.worker")


class _ThreadEach(ThreadPoolExecutor):
    """Runs each call in a thread of its own, which ends with it.

    Blocking calls are rare: looking up names, opening the model, judging a long answer. None of them may wait
    for another, least of all the dials' connection.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Begin the call; its caller may stop waiting, but cannot take it back."""
        call: Future[T] = Future()
        call.set_running_or_notify_cancel()

        def run() -> None:
            try:
                call.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                call.set_exception(error)

        threading.Thread(target=run, name="aside", daemon=True).start()
        return call


@dataclass(slots=True)
class JobLoop:
    """The loop. One for each process, started after any fork."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _jobs: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        """Run the loop in its thread."""
        self.loop.set_default_executor(_ThreadEach())
        self._thread = threading.Thread(target=self.loop.run_forever, name="job-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and wait for its result, from any other thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def begin(self, job: Coroutine[Any, Any, None]) -> None:
        """Run `job` on the loop, where `cancel_jobs` reaches it; return at once, in any thread."""
        self.loop.call_soon_threadsafe(self._begin, job)

    def cancel_jobs(self) -> None:
        """Cancel every running job, from any thread; each unwinds by itself."""
        # One turn later: a job cancelled before its first step could not say how it ended.
        self.loop.call_soon_threadsafe(self.loop.call_soon, self._cancel_begun)

    def cancel_jobs_after(self, grace_seconds: float) -> None:
        """Note that this worker is stopping, and cancel after that time what still runs; from any thread.

        It takes no lock, so a signal handler may call it, whatever it interrupted.
        """
        self.loop.call_soon_threadsafe(self._end_after, grace_seconds)

    def wait_for_jobs(self) -> None:
        """Return, in any other thread, once every job that was begun has ended."""
        self.run(self._all_ended())

    def stop(self) -> None:
        """Cancel what still runs, then end the loop and its thread."""
        if self._thread is None:
            return
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def _begin(self, job: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._ended)

    def _cancel_begun(self) -> None:
        for job in self._jobs:
            job.cancel()

    def _end_after(self, grace_seconds: float) -> None:
        emit(_log, logging.INFO, "worker_stopping", grace_seconds=grace_seconds)
        self.loop.call_later(grace_seconds, self._cancel_begun)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Its message stays unacknowledged, and comes back when this worker ends.
            emit(_log, logging.ERROR, "job_lost", **error_location(error))

    async def _all_ended(self) -> None:
        while self._jobs:
            await asyncio.wait(self._jobs)

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
