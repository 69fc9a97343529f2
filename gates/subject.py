"""What the gates may see of a job."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """One job, as the gates see it. `opted_in` is true only for `metadata.allowAI: true`."""

    job_id: str
    slot_id: str
    kind: str
    subject: str
    level: str
    board: str
    spec_version: str
    opted_in: bool
