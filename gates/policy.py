"""An allowlist as typed values, indexed so that a policy of a thousand rules decides like one of three."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from gates.rule import FIELDS, AllowRule
from gates.subject import Subject

# For one field, the bit set of the rules that hold a value: bit i is rule i. The rules that match a job are
# the AND of six sets, and the first of them is the lowest bit.
_Index = dict[str, int]


@dataclass(frozen=True, slots=True)
class Allowlist:
    """A valid allowlist v1; the first match wins among the enabled rules."""

    enabled: bool
    rules: tuple[AllowRule, ...]
    _indexes: tuple[_Index, ...] = field(repr=False, compare=False)
    _every_slot: int = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Return the policy in `document`, which follows the allowlist's schema."""
        rules = tuple(AllowRule.of(each) for each in document["rules"])
        live = [(1 << number, rule) for number, rule in enumerate(rules) if rule.enabled]
        indexes = tuple(
            _index((bit, rule.lists[number]) for bit, rule in live) for number in range(len(FIELDS))
        )
        every_slot = sum(bit for bit, rule in live if not rule.slot_ids)
        return cls(document["enabled"], rules, indexes, every_slot)

    def first_match(self, subject: Subject) -> AllowRule | None:
        """Return the first enabled rule that matches, or None, even if the policy itself is disabled."""
        subjects, levels, boards, versions, kinds, slots = self._indexes
        matching = (
            subjects.get(subject.subject, 0)
            & levels.get(subject.level, 0)
            & boards.get(subject.board, 0)
            & versions.get(subject.spec_version, 0)
            & kinds.get(subject.kind, 0)
            & (slots.get(subject.slot_id, 0) | self._every_slot)
        )
        return self.rules[(matching & -matching).bit_length() - 1] if matching else None

    def nearest(self, subject: Subject) -> tuple[AllowRule, tuple[str, ...]] | None:
        """Return the enabled rule with the fewest failing lists, the first of equals, and their names.

        None when no rule is enabled.
        """
        enabled = ((rule, rule.failing_fields(subject)) for rule in self.rules if rule.enabled)
        return min(enabled, key=lambda each: len(each[1]), default=None)


def _index(lists: Iterable[tuple[int, frozenset[str]]]) -> _Index:
    index: _Index = {}
    for bit, values in lists:
        for value in values:
            held = index.get(value)
            # A value of one rule only shares that rule's number: 10,000 slot ids in it take no 10,000 sets.
            index[value] = bit if held is None else held | bit
    return index
