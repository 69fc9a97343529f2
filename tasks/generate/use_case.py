"""The use case: one spec in, one recorded outcome and one result for each of its jobs out."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gates import Decision
from schemas import OutputType
from tasks.errors import Deferred, ErrorCode, Failed, JobEnded
from tasks.generate.admission import Admission
from tasks.generate.dial_reader import DialRead, DialReader
from tasks.generate.generation import Admitted, Generation
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome, completed, ended
from tasks.generate.recording import Entry
from tasks.generate.spec import Job, Spec
from tasks.limits.guard import OutcomeMonitor


@dataclass(slots=True)
class _Run:
    """One job being worked on."""

    job: Job
    context: JobContext
    began_mono: float
    outcome: Outcome | None = None
    output: OutputType | None = None
    deferred: Deferred | None = None


@dataclass(frozen=True, slots=True)
class Generate:
    """Answers specs, on one event loop.

    `record` gets every outcome, with its context and its latency in milliseconds, and returns its entry,
    which is written exactly once; `report_bug` gets an unexpected exception, once. `monitor` says what the
    guard sees of the outcomes. `tell_progress(task_id, done, total)` is called for a spec with several jobs,
    at most once every `progress_seconds`, and never raises.
    """

    dial_reader: DialReader
    generation: Generation
    has_api_key: bool
    count_decision: Callable[[Decision], None]
    record: Callable[[Job, Outcome, JobContext, float, str], Entry]
    report_bug: Callable[[Job, BaseException], None]
    monitor: OutcomeMonitor
    tell_progress: Callable[[str, int, int], Awaitable[None]]
    progress_seconds: float = 1.0

    async def __call__(self, spec: Spec, task_id: str, *, may_defer: bool = False) -> list[Outcome]:
        """Return one outcome for each job, in the order of the spec's jobs.

        Raises:
            Deferred: the server asked for more time than a job has, and the spec `may_defer`.
            CancelledError: the task was cancelled; what had no outcome yet has none.

        """
        admission = Admission(self.count_decision, self.has_api_key)
        began_mono = asyncio.get_running_loop().time()
        runs = [_Run(job, JobContext(), began_mono) for job in spec.jobs]
        # Each job gets its own read, begun now; the run limit counts the jobs in order.
        for run, read in [(run, self.dial_reader.read_exclusive()) for run in runs]:
            await self._admit(run, read, admission)
        for run in runs:
            if run.outcome is not None:
                self._record(run, task_id)
        await self._generate_admitted(runs, task_id)
        self._end_deferred(runs, task_id, may_defer=may_defer)
        return [_outcome(run) for run in runs]

    async def _generate_admitted(self, runs: list[_Run], task_id: str) -> None:
        admitted = [run for run in runs if run.outcome is None]
        is_told = len(runs) > 1 and admitted
        telling = asyncio.create_task(self._tell_progress(runs, task_id)) if is_told else None
        try:
            # It returns only when every job has ended, however it ended: none goes on working for a spec that
            # is gone. A TaskGroup would keep the second cancellation to itself.
            jobs = (self._generate(run, task_id) for run in admitted)
            await asyncio.gather(*jobs, return_exceptions=True)
        finally:
            if telling:
                telling.cancel()
                await asyncio.wait({telling})
        if any(run.outcome is None and run.deferred is None for run in admitted):
            # A job was cancelled by what it waited for, as when the loop ends: the spec goes back.
            raise asyncio.CancelledError

    async def _tell_progress(self, runs: list[_Run], task_id: str) -> None:
        reported = 0
        while True:
            await asyncio.sleep(self.progress_seconds)
            done = sum(run.outcome is not None for run in runs)
            if done > reported:
                await self.tell_progress(task_id, done, len(runs))
                reported = done

    def _end_deferred(self, runs: list[_Run], task_id: str, *, may_defer: bool) -> None:
        for run in runs:
            if run.deferred is None:
                continue
            if may_defer:
                raise run.deferred
            run.outcome = self._ended(run, run.deferred.otherwise)
            self._record(run, task_id)

    async def _admit(self, run: _Run, read: asyncio.Future[DialRead], admission: Admission) -> None:
        try:
            with run.context.timed("decide"):
                controls = (await read).controls
                run.output = admission.admit(run.job, run.context, controls)
        except Exception as error:  # noqa: BLE001 - one broken job must not take its spec along
            run.outcome = self._ended(run, error)

    async def _generate(self, run: _Run, task_id: str) -> None:
        """Take one job to its end. An error in it cancels no other job: those may have been paid for."""
        assert run.output is not None  # it was admitted
        admitted = Admitted(run.job, run.output, run.context)
        try:
            try:
                value = await self.generation.content(admitted)
                run.outcome = completed(run.job.job_id, {run.job.output_field: value})
            except Deferred as deferred:
                run.deferred = deferred
            except Exception as error:  # noqa: BLE001 - an unknown error is a bug, and still gets an answer
                run.outcome = self._ended(run, error)
            finally:
                await self._conclude(run, admitted, task_id)
        except Exception as error:  # noqa: BLE001 - a bug beside the outcome, which it does not change
            self.report_bug(run.job, error)

    async def _conclude(self, run: _Run, admitted: Admitted, task_id: str) -> None:
        """Book how the job ended, if it did, and record it."""
        if run.outcome is None:
            await self.generation.arrive(admitted, concluded=False)
            return
        entry = self._entry(run, task_id)
        seen = self.monitor.observation(run.outcome, run.context, event_valid=bool(entry and entry.valid))
        # A paid answer becomes an outcome once it is stored: before that, a worker that ends gives the job
        # back.
        paid_for = admitted.holds_answer
        if not paid_for:
            self._write(run, entry)
        try:
            found = await self.generation.arrive(admitted, seen, concluded=True)
        except asyncio.CancelledError:
            run.outcome, paid_for = None, False
            raise
        finally:
            if paid_for:
                self._write(run, entry)
        self.monitor.found(found)

    def _ended(self, run: _Run, error: Exception) -> Outcome:
        end = error
        if not isinstance(end, JobEnded):
            self.report_bug(run.job, error)
            end = Failed(ErrorCode.INTERNAL_ERROR)
        run.context.detail = end.detail or run.context.detail
        run.context.policy_rule, run.context.flagged = end.rule, end.flagged
        return ended(run.job.job_id, end)

    def _record(self, run: _Run, task_id: str) -> None:
        self._write(run, self._entry(run, task_id))

    def _entry(self, run: _Run, task_id: str) -> Entry | None:
        latency_ms = (asyncio.get_running_loop().time() - run.began_mono) * 1000
        try:
            return self.record(run.job, _outcome(run), run.context, latency_ms, task_id)
        except Exception as error:  # noqa: BLE001 - a bug there must not cost a spec its answers
            self.report_bug(run.job, error)
            return None

    def _write(self, run: _Run, entry: Entry | None) -> None:
        try:
            if entry:
                entry.write()
        except Exception as error:  # noqa: BLE001 - nor one here
            self.report_bug(run.job, error)


def _outcome(run: _Run) -> Outcome:
    if run.outcome is None:
        raise RuntimeError("a job has left the use case without an outcome")
    return run.outcome
