"""The part of a job that the gates see."""

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

    @property
    def values(self) -> tuple[str, ...]:
        """What the lists of a rule are compared with, in their order."""
        return (self.subject, self.level, self.board, self.spec_version, self.kind, self.slot_id)
