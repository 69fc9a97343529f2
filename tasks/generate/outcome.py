"""How a job ended: the result document that the producer gets, and the record that operators get."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gates import Subject
from tasks.errors import ErrorCode, JobEnded, Status
from tasks.generate.job_context import JobContext


@dataclass(frozen=True, slots=True)
class Outcome:
    """One job's end. `output` is `{field: value}` when COMPLETED, else None; then `error_code` says why."""

    job_id: str
    status: Status
    error_code: ErrorCode | None
    output: dict[str, Any] | None

    def as_result(self) -> dict[str, Any]:
        """Return the document of result v1, stamped with the current time in UTC."""
        return {
            "version": "v1",
            "jobId": self.job_id,
            "status": self.status.value,
            "generatedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "output": self.output,
        }


def completed(job_id: str, output: dict[str, Any]) -> Outcome:
    """Return the outcome of a job whose answer was accepted."""
    return Outcome(job_id, Status.COMPLETED, None, output)


def ended(job_id: str, end: JobEnded) -> Outcome:
    """Return the outcome of a job that ended without content."""
    return Outcome(job_id, end.status, end.code, None)


def outcome_cause(error_code: str | None, policy_rule: str | None) -> str:
    """Return why a job ended, as a breach says it: OUTPUT_POLICY_VIOLATION/heading; "" if COMPLETED."""
    return "/".join(word for word in (error_code, policy_rule) if word)


# What a record takes from its job's context, under the same names; a count of 0 is not logged.
OF_CONTEXT = tuple(field.name for field in dataclasses.fields(JobContext) if field.name != "held_back")
_COUNTS = {
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "cost_nano_usd",
    "repairs",
    "took_ms",
    "flagged",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """One job's outcome, without content, for its event, the log, the metrics and the history.

    None means not known, or not asked. `latency_ms` is milliseconds, 0 or more; costs are nano-dollars;
    `gate` is the last gate asked; `took_ms` has the milliseconds of each step; `policy_rule` is the
    plain-text rule that an answer broke, `flagged` what moderation found in the input and the output.
    `telemetry_valid` is whether its event follows the locked schema. Records from the history have their
    place in it, `entry_id`, ordered by time, and when they arrived, `wall_ms` by Redis's clock; they have no
    token or step figures.
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
    flagged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cached: bool = False
    took_ms: dict[str, float] = field(default_factory=dict)
    telemetry_valid: bool = False
    entry_id: str = ""
    wall_ms: int = 0

    @property
    def cause(self) -> str:
        """Why it is not COMPLETED, such as OUTPUT_POLICY_VIOLATION/heading or NOT_OPTED_IN; "" if it is."""
        return outcome_cause(self.error_code, self.policy_rule)

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
        """Return what is known besides the event; a cost is repeated as exact decimal text, `cost_usd`."""
        details = {"task_id": self.task_id, "kind": self.subject.kind, "output_type": self.output_type}
        for name in OF_CONTEXT:
            value = getattr(self, name)
            if value is not None and (value or name not in _COUNTS):
                details[name] = value
        if self.cost_nano_usd:
            details["cost_usd"] = "{}.{:09}".format(*divmod(self.cost_nano_usd, 1_000_000_000))
        return details
