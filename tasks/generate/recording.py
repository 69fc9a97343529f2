"""Makes the one record of how a job ended, and from it the event, log line, metrics and history."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from tasks.generate.job_context import JobContext
from tasks.generate.outcome import OF_CONTEXT, Outcome, OutcomeRecord
from tasks.generate.spec import Job
from telemetry import Recorder


@dataclass(frozen=True, slots=True)
class Entry:
    """The record of one outcome, and whether its event is `valid`; `write` is called once it is final."""

    valid: bool
    write: Callable[[], None]


@dataclass(frozen=True, slots=True)
class OutcomeRecording:
    """Records the outcomes of one worker; `keep(record)` gets each one for the history."""

    recorder: Recorder
    executor_version: str
    worker_id: str
    keep: Callable[[OutcomeRecord], None]

    def __call__(
        self, job: Job, outcome: Outcome, context: JobContext, latency_ms: float, task_id: str
    ) -> Entry:
        """Return the record of `outcome`."""
        record = OutcomeRecord(
            subject=job.subject,
            task_id=task_id,
            output_type=job.output_type,
            status=outcome.status.value,
            error_code=outcome.error_code.value if outcome.error_code else None,
            path=context.path,
            latency_ms=round(latency_ms, 3),
            executor_version=self.executor_version,
            worker_id=self.worker_id,
            **{name: getattr(context, name) for name in OF_CONTEXT},
        )
        event = record.event()
        found = self.recorder.check(event)
        kept = dataclasses.replace(record, telemetry_valid=not found)

        def write() -> None:
            self.recorder.record(event, record.details(), found)
            self.keep(kept)

        return Entry(not found, write)
