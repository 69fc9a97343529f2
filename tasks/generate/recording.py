"""The one record of how a job ended, from which its event, log line, metrics and history are made."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gates import Subject
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome
from tasks.generate.spec import Job
from telemetry import Recorder

# What a record has of its job's context, by the same names; those that are 0 stay out of the log.
_DETAILS = tuple(
    field.name for field in dataclasses.fields(JobContext) if field.name not in {"model_ms", "held_back"}
)
_COUNTS = {"input_tokens", "cached_input_tokens", "output_tokens", "cost_nano_usd", "repairs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """One job's outcome, without content; None means not known.

    `latency_ms` is milliseconds, 0 or more; costs are nano-dollars; `policy_rule` is the rule of plain text
    that an answer broke. `telemetry_valid` is whether its event kept to the locked schema.
    """

    subject: Subject
    task_id: str
    output_type: str
    status: str
    error_code: str | None
    path: str
    latency_ms: float
    executor_version: str
    worker_id: str
    gate: str | None = None
    detail: str | None = None
    bucket: int | None = None
    rule_id: str | None = None
    policy_hash: str | None = None
    model: str | None = None
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    request_id: str | None = None
    attempts: int = 0
    repairs: int = 0
    policy_rule: str | None = None
    cached: bool = False
    telemetry_valid: bool = False

    def event(self) -> dict[str, Any]:
        """Return the document of telemetry v1."""
        return {
            "version": "v1",
            "executorVersion": self.executor_version,
            "jobId": self.subject.job_id,
            "path": self.path,
            "status": self.status,
            "latencyMs": self.latency_ms,
            "errorCode": self.error_code,
        }

    def details(self) -> dict[str, Any]:
        """Return what is known beside the event; with a cost, the same as exact decimal text, `cost_usd`."""
        details = {"task_id": self.task_id, "kind": self.subject.kind, "output_type": self.output_type}
        for name in _DETAILS:
            value = getattr(self, name)
            if value is not None and (value or name not in _COUNTS):
                details[name] = value
        if self.cost_nano_usd:
            details["cost_usd"] = "{}.{:09}".format(*divmod(self.cost_nano_usd, 1_000_000_000))
        return details


@dataclass(frozen=True, slots=True)
class OutcomeRecording:
    """Records the outcomes of one worker; `keep(record)` gets each one for the history."""

    recorder: Recorder
    executor_version: str
    worker_id: str
    keep: Callable[[OutcomeRecord], None]

    def __call__(
        self, job: Job, outcome: Outcome, context: JobContext, latency_ms: float, task_id: str
    ) -> bool:
        """Emit the event of `outcome`, once by contract of the caller; return whether it was valid."""
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
            **{name: getattr(context, name) for name in _DETAILS},
        )
        valid = self.recorder.record(record.event(), record.details())
        self.keep(dataclasses.replace(record, telemetry_valid=valid))
        return valid
