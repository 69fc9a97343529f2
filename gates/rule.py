"""One rule of the policy, as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gates.subject import Subject


@dataclass(frozen=True, slots=True)
class AllowRule:
    """One rule, enabled or not. `slot_ids` empty means every slot; `max_jobs_per_run` is 1-100."""

    id: str
    enabled: bool
    subjects: frozenset[str]
    levels: frozenset[str]
    boards: frozenset[str]
    spec_versions: frozenset[str]
    kinds: frozenset[str]
    slot_ids: frozenset[str]
    max_jobs_per_run: int

    @classmethod
    def of(cls, document: dict[str, Any]) -> AllowRule:
        """Return the rule in `document`, which follows the allowlist's schema."""
        applies_to = document["appliesTo"]
        return cls(
            id=document["id"],
            enabled=document["enabled"],
            subjects=frozenset(applies_to["subject"]),
            levels=frozenset(applies_to["level"]),
            boards=frozenset(applies_to["board"]),
            spec_versions=frozenset(applies_to["specVersion"]),
            kinds=frozenset(document["kinds"]),
            slot_ids=frozenset(document["slotIds"]),
            # To JSON Schema 10.0 is an integer.
            max_jobs_per_run=int(document["maxJobsPerRun"]),
        )

    def failing_fields(self, subject: Subject) -> tuple[str, ...]:
        """Return the names, as in the policy, of the lists that keep this rule from matching."""
        lists = (
            ("appliesTo.subject", self.subjects, subject.subject),
            ("appliesTo.level", self.levels, subject.level),
            ("appliesTo.board", self.boards, subject.board),
            ("appliesTo.specVersion", self.spec_versions, subject.spec_version),
            ("kinds", self.kinds, subject.kind),
            ("slotIds", self.slot_ids or {subject.slot_id}, subject.slot_id),
        )
        return tuple(name for name, held, value in lists if value not in held)
