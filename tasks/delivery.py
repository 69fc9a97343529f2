"""What leaves with an answer: the locked results, and what a consumer needs to know besides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from tasks.errors import Status
from tasks.generate.outcome import Outcome
from tasks.generate.spec import Spec

VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One job's answer: result v1, and the errorCode of telemetry v1, None when COMPLETED."""

    task_id: str
    result: dict[str, Any]
    error_code: str | None
    executor_version: str
    requires_review: bool

    @property
    def job_id(self) -> str:
        """The jobId as sent."""
        return str(self.result["jobId"])

    @property
    def status(self) -> Status:
        """STUB, COMPLETED or FAILED."""
        return Status(self.result["status"])

    @property
    def output(self) -> dict[str, Any] | None:
        """`{field: value}` when COMPLETED, else None."""
        found: dict[str, Any] | None = self.result["output"]
        return found

    def as_document(self) -> dict[str, Any]:
        """Return the document of delivery v1."""
        return {
            "version": VERSION,
            "taskId": self.task_id,
            "jobId": self.job_id,
            "errorCode": self.error_code,
            "executorVersion": self.executor_version,
            "requiresReview": self.requires_review,
            "result": self.result,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer to one spec: result v1 for each job in the order sent, and reasons v1."""

    results: list[dict[str, Any]]
    reasons: dict[str, Any]

    @classmethod
    def of(cls, spec: Spec, outcomes: Sequence[Outcome], executor_version: str) -> Self:
        """Return the answer to `spec`, its results stamped with the current time."""
        return cls(
            [each.as_result() for each in outcomes],
            {
                "version": VERSION,
                "executorVersion": executor_version,
                "requiresReview": spec.requires_review,
                "errorCodes": [each.error_code.value if each.error_code else None for each in outcomes],
            },
        )

    def deliveries(self, task_id: str) -> list[Delivery]:
        """Return one delivery for each job, in the order sent."""
        return [
            Delivery(
                task_id,
                result,
                error_code,
                self.reasons["executorVersion"],
                self.reasons["requiresReview"],
            )
            for result, error_code in zip(self.results, self.reasons["errorCodes"], strict=True)
        ]
