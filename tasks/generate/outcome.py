"""How a job ended, and the result document that the producer gets; the STUB reply lives here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.errors import ErrorCode, JobEnded, Status


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
