"""Celery's pool, with tasks of one asyncio loop as its workers: a job that waits costs no thread.

A pool of threads needs one for each message in work, and with hundreds of them most of a worker's CPU went
into passing the interpreter from one to the next. Celery's own tracer, which runs in the pool, calls a
function and stores its result while the thread waits; here both are awaited.
"""

# celery-types knows neither the pools nor what a task's message is traced with.
# mypy: disable-error-code="misc, no-untyped-call"

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Self

from billiard.einfo import ExceptionInfo
from celery.app.task import Context
from celery.concurrency.base import BasePool
from celery.exceptions import Ignore, Reject

from tasks.delivery import Answer
from tasks.generate.shielding import to_its_end
from telemetry import emit, error_location
from worker.adapters.celery.job_loop import JobLoop
from worker.adapters.celery.results import ResultWriter

_log = logging.getLogger("slotgen.worker")
# What Celery's Request makes of the end of a task: (failed, result or ExceptionInfo, seconds).
Ended = Callable[[tuple[int, Any, float]], None]


class JobLoopPool(BasePool):
    """Runs tasks whose function is a coroutine function of `(request, spec)` that returns an Answer.

    `JobLoopPool.on(loop, results)` is the class to give to a Celery worker. The worker's prefetch bounds how
    many run at once: a message that was not acknowledged keeps its place.
    """

    body_can_be_buffer = True
    signal_safe = False

    loop: ClassVar[JobLoop]
    results: ClassVar[ResultWriter]

    @classmethod
    def on(cls, loop: JobLoop, results: ResultWriter) -> type[Self]:
        """Return the pool class on `loop` that hands its results to `results`."""
        return type(cls.__name__, (cls,), {"loop": loop, "results": results})

    def on_apply(
        self,
        target: object,  # noqa: ARG002 - Celery's tracer, whose place this pool takes
        args: tuple[Any, ...],
        kwargs: object = None,  # noqa: ARG002 - Celery passes none
        *,
        callback: Ended,
        accept_callback: Callable[[int, float], None],
        **_: Any,
    ) -> None:
        """Begin a task; `callback` is called on the loop."""
        name, request = args[0], Context(args[2])
        spec = self.results.in_hand.specs[request.properties["delivery_tag"]]  # type: ignore[index]  # it was delivered
        accept_callback(os.getpid(), time.monotonic())
        self.loop.begin(self._perform(self.app.tasks[name].run(request, spec), request, callback))

    def on_stop(self) -> None:
        """Wait for everything that has begun."""
        self.loop.wait_for_jobs()

    def on_terminate(self) -> None:
        """Cancel everything that has begun: each message goes back to the queue as its job ends."""
        self.loop.cancel_jobs()

    def terminate_job(self, *_: Any) -> None:
        """Cancel everything that has begun: a worker that must end at once asks for one job after another."""
        self.loop.cancel_jobs()

    async def _perform(self, work: Coroutine[Any, Any, Answer], request: Context, ended: Ended) -> None:
        try:
            answer = await work
            await self._finish(request, answer.results, answer)
        except (Ignore, Reject):
            failure = ExceptionInfo(internal=True)
        except asyncio.CancelledError:
            # A worker that shuts down cancels what is in flight: there is no result, and the message goes
            # back.
            failure = _back_to_the_queue()
        except Exception as error:  # noqa: BLE001 - as Celery does, whatever a task raises is its result
            failure = await self._failed(error, request)
        else:
            ended((0, None, 0.0))
            return
        self.results.outcomes.forget(str(request.id))
        ended((1, failure, 0.0))

    async def _failed(self, error: Exception, request: Context) -> ExceptionInfo:
        """Tell the log and the producer of an unexpected error."""
        failure = ExceptionInfo()
        emit(_log, logging.ERROR, "task_broke", task_id=request.id, **error_location(error))
        try:
            # Without the traceback that Celery adds: it may contain what must not leave the worker.
            await self._finish(request, error)
        except asyncio.CancelledError:
            return _back_to_the_queue()
        return failure

    async def _finish(self, request: Context, result: Any, answer: Answer | None = None) -> None:
        # If it is cut short, it may have happened unseen, and the job would be answered twice.
        await to_its_end(self.results.finish(request, result, answer), concludes=True)


def _back_to_the_queue() -> ExceptionInfo:
    try:
        raise Reject("the worker is shutting down", requeue=True)  # noqa: TRY301 - see below
    except Reject:
        # It is made of an exception on its way.
        return ExceptionInfo(internal=True)
