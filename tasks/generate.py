"""The use case: one spec in, one recorded outcome and one result for each of its jobs out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gates import Decision
from schemas import OutputType
from tasks.admission import Admission
from tasks.errors import ErrorCode, Failed, JobEnded, PutOff
from tasks.generation import Generation
from tasks.guard import Watch
from tasks.outcome import Outcome, completed, ended
from tasks.ports import ControlSource
from tasks.spec import Job, Spec
from tasks.trail import Trail

T = TypeVar("T")


@dataclass(slots=True)
class _Run:
    """One job on its way."""

    job: Job
    trail: Trail
    began_mono: float
    outcome: Outcome | None = None
    put_off: bool = False
    output: OutputType | None = None


class OnLoop(Protocol):
    """Runs a coroutine on the process's event loop, from a worker thread."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], meanwhile: Callable[[], None] | None) -> T:
        """Return its result; until then call `meanwhile` once a second, from the calling thread."""
        ...


@dataclass(frozen=True, slots=True)
class Generate:
    """Answers specs. Called from worker threads.

    `record` gets every outcome exactly once, with its trail and its latency in milliseconds, and says
    whether its event was valid; `report_bug` gets an exception that nobody expected, once. `watch` looks at
    every outcome of a model. `tell_progress(task_id, done, total)` hears of a spec with several jobs, at most
    once a second.
    """

    controls: ControlSource
    generation: Generation
    has_api_key: bool
    on_loop: OnLoop
    count_decision: Callable[[Decision], None]
    record: Callable[[Job, Outcome, Trail, float, str], bool]
    report_bug: Callable[[Job, BaseException], None]
    watch: Watch
    tell_progress: Callable[[str, int, int], None]

    def __call__(self, spec: Spec, task_id: str, *, may_put_off: bool = False) -> list[Outcome]:
        """Return one outcome for each job, in the order of the spec's jobs.

        Raises:
            PutOff: the server asked for more time than a job has, and the spec `may_put_off`.

        """
        admission = Admission(self.controls.read, self.count_decision, self.has_api_key)
        runs = [self._begin(job, admission) for job in spec.jobs]
        admitted = [run for run in runs if run.outcome is None]
        for run in runs:
            if run.outcome is not None:
                self._record(run, task_id)
        if admitted:
            self.on_loop(self._generate_all(admitted, task_id), self._teller(runs, task_id))
        self._end_put_off([run for run in runs if run.put_off], task_id, may_put_off=may_put_off)
        return [_outcome(run) for run in runs]

    def _teller(self, runs: list[_Run], task_id: str) -> Callable[[], None] | None:
        """Return what tells how many of several jobs are done, when that has changed; one job has none."""
        told = 0

        def tell() -> None:
            nonlocal told
            done = sum(run.outcome is not None for run in runs)
            if done > told:
                self.tell_progress(task_id, done, len(runs))
                told = done

        return tell if len(runs) > 1 else None

    def _end_put_off(self, runs: list[_Run], task_id: str, *, may_put_off: bool) -> None:
        if runs and may_put_off:
            raise PutOff
        for run in runs:
            detail = "the server asked to wait, for longer than maxAgeSeconds"
            run.outcome = self._ended(run, Failed(ErrorCode.OPENAI_RATE_LIMITED, detail))
            self._record(run, task_id)

    def _begin(self, job: Job, admission: Admission) -> _Run:
        run = _Run(job, Trail(), time.monotonic())
        try:
            run.output = admission.admit(job, run.trail)
        except JobEnded as end:
            run.outcome = self._ended(run, end)
        except Exception as error:  # noqa: BLE001 - one broken job must not take its spec along
            run.outcome = self._broken(run, error)
        return run

    async def _generate_all(self, runs: list[_Run], task_id: str) -> None:
        await asyncio.gather(*(self._generate(run, task_id) for run in runs))

    async def _generate(self, run: _Run, task_id: str) -> None:
        try:
            value = await self.generation.content(run.job, _type_of(run), run.trail)
            run.outcome = completed(run.job.job_id, {run.job.output_field: value})
        except PutOff:
            run.put_off = True
            return
        except JobEnded as end:
            run.outcome = self._ended(run, end)
        except Exception as error:  # noqa: BLE001 - an unknown error is a bug, and still gets an answer
            run.outcome = self._broken(run, error)
        event_valid = self._record(run, task_id)
        await self.watch(_outcome(run), run.trail, event_valid=event_valid)

    def _ended(self, run: _Run, end: JobEnded) -> Outcome:
        run.trail.detail = end.detail or run.trail.detail
        return ended(run.job.job_id, end)

    def _broken(self, run: _Run, error: Exception) -> Outcome:
        self.report_bug(run.job, error)
        return ended(run.job.job_id, Failed(ErrorCode.INTERNAL_ERROR))

    def _record(self, run: _Run, task_id: str) -> bool:
        latency_ms = (time.monotonic() - run.began_mono) * 1000
        return self.record(run.job, _outcome(run), run.trail, latency_ms, task_id)


def _type_of(run: _Run) -> OutputType:
    if run.output is None:
        raise RuntimeError("a job was sent on without its output type")
    return run.output


def _outcome(run: _Run) -> Outcome:
    if run.outcome is None:
        raise RuntimeError("a job has left the use case without an outcome")
    return run.outcome
