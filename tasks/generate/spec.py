"""Job spec v1: what is refused at the edge, and the typed values used inside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from gates import Subject
from schemas import describe, output_type, unknown_output_type, violations
from tasks.errors import InvalidMessage

# The most jobs of one spec, as in job.v1.
MAX_JOBS = 100


@dataclass(frozen=True, slots=True)
class Job:
    """One slot to fill. `document` is the job as sent; `applies_to` is its spec's."""

    job_id: str
    slot_id: str
    kind: str
    mode: str
    output_field: str
    output_type: str
    applies_to: dict[str, str]
    subject: Subject
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spec:
    """The jobs of one message, in the order sent (1-100).

    `requires_review`: a person reviews the content before it is published.
    """

    jobs: tuple[Job, ...]
    requires_review: bool

    @classmethod
    def of(cls, document: dict[str, Any]) -> Spec:
        """Return the typed spec of a document that `refuse_invalid` let pass."""
        applies_to, metadata = document["appliesTo"], document["metadata"]
        # Only JSON true opts in; `is True` also keeps 1 and 1.0 out, which compare equal to it.
        opted_in = metadata.get("allowAI") is True
        jobs = tuple(_job(each, applies_to, opted_in=opted_in) for each in document["jobs"])
        return cls(jobs, requires_review=metadata["requiresReview"])


def refuse_invalid(document: Any) -> None:
    """Accept a valid job spec v1 whose jobIds are unique.

    Raises:
        InvalidMessage: names the path, the problem and the remedy, never the content.

    """
    found = violations("job.v1", document)
    if found:
        raise InvalidMessage(describe(found))
    counts = Counter(job["jobId"] for job in document["jobs"])
    for index, job in enumerate(document["jobs"]):
        if counts[job["jobId"]] > 1:
            raise InvalidMessage(
                f"jobs[{index}].jobId: is used by {counts[job['jobId']]} jobs of this spec; "
                "give each job a jobId of its own"
            )


def refuse_unknown_types(document: dict[str, Any]) -> None:
    """Accept a valid spec if every job to be generated has a known output type.

    A worker fails only the job itself (UNSUPPORTED_OUTPUT_TYPE); a sender can still correct it.

    Raises:
        InvalidMessage: a line for each job, with its path, the type and the remedy.

    """
    lines = [
        f"jobs[{index}].output.type: {unknown_output_type(job['output']['type'])}"
        for index, job in enumerate(document["jobs"])
        if job["mode"] == "generate" and output_type(job["output"]["type"]) is None
    ]
    if lines:
        raise InvalidMessage("\n".join(lines))


def _job(document: dict[str, Any], applies_to: dict[str, str], *, opted_in: bool) -> Job:
    subject = Subject(
        job_id=document["jobId"],
        slot_id=document["slotId"],
        kind=document["kind"],
        subject=applies_to["subject"],
        level=applies_to["level"],
        board=applies_to["board"],
        spec_version=applies_to["specVersion"],
        opted_in=opted_in,
    )
    return Job(
        job_id=document["jobId"],
        slot_id=document["slotId"],
        kind=document["kind"],
        mode=document["mode"],
        output_field=document["output"]["field"],
        output_type=document["output"]["type"],
        applies_to=applies_to,
        subject=subject,
        document=document,
    )
