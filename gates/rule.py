"""One rule of the policy, as typed values."""

from dataclasses import dataclass
from typing import Any, Self

from gates.subject import Subject

# The lists of a rule by their names in the policy; `Subject.values` has a job's in the same order.
FIELDS = (
    "appliesTo.subject",
    "appliesTo.level",
    "appliesTo.board",
    "appliesTo.specVersion",
    "kinds",
    "slotIds",
)


@dataclass(frozen=True, slots=True)
class AllowRule:
    """One rule, enabled or not. `lists` are its `FIELDS`, `max_jobs_per_run` is 1-100."""

    id: str
    enabled: bool
    lists: tuple[frozenset[str], ...]
    max_jobs_per_run: int

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Return the rule in `document`, which follows the allowlist's schema."""
        applies_to = document["appliesTo"]
        where = (applies_to[name] for name in ("subject", "level", "board", "specVersion"))
        return cls(
            id=document["id"],
            enabled=document["enabled"],
            lists=tuple(map(frozenset, (*where, document["kinds"], document["slotIds"]))),
            # JSON Schema counts 10.0 as an integer.
            max_jobs_per_run=int(document["maxJobsPerRun"]),
        )

    @property
    def slot_ids(self) -> frozenset[str]:
        """The slots it applies to; empty means every slot."""
        return self.lists[-1]

    def failing_fields(self, subject: Subject) -> tuple[str, ...]:
        """Return the names of the lists that keep this rule from matching."""
        lists = (*self.lists[:-1], self.slot_ids or {subject.slot_id})
        return tuple(
            name for name, held, value in zip(FIELDS, lists, subject.values, strict=True) if value not in held
        )
