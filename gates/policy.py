"""An allowlist as typed values, indexed so that a policy of a thousand rules decides like one of three."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gates.subject import Subject
from schemas import is_valid, parse_json

# The largest value that Redis holds is 512 MiB; a policy of 10,000 rules has about 3 MB.
_MAX_BYTES = 16_777_216
_HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled or disabled rule. `slot_ids` empty means every slot."""

    id: str
    enabled: bool
    subjects: frozenset[str]
    levels: frozenset[str]
    boards: frozenset[str]
    spec_versions: frozenset[str]
    kinds: frozenset[str]
    slot_ids: frozenset[str]
    max_jobs_per_run: int

    def failing_fields(self, subject: Subject) -> tuple[str, ...]:
        """Return the names of the fields that keep this rule from matching, as in the policy."""
        sets = (
            ("appliesTo.subject", self.subjects, subject.subject),
            ("appliesTo.level", self.levels, subject.level),
            ("appliesTo.board", self.boards, subject.board),
            ("appliesTo.specVersion", self.spec_versions, subject.spec_version),
            ("kinds", self.kinds, subject.kind),
            ("slotIds", self.slot_ids or frozenset({subject.slot_id}), subject.slot_id),
        )
        return tuple(name for name, allowed, value in sets if value not in allowed)


# For each field a value's bit set: bit i is rule i. A job's matching rules are the AND of six sets, and the
# first of them is the lowest bit.
_Index = dict[str, int]


@dataclass(frozen=True, slots=True)
class Allowlist:
    """A valid allowlist v1; first match wins among the enabled rules."""

    enabled: bool
    rules: tuple[Rule, ...]
    policy_hash: str
    _indexes: tuple[_Index, ...] = field(repr=False, compare=False)
    _any_slot: int = field(repr=False, compare=False)

    def first_match(self, subject: Subject) -> Rule | None:
        """Return the first enabled rule that matches, or None."""
        subjects, levels, boards, versions, kinds, slots = self._indexes
        matching = (
            subjects.get(subject.subject, 0)
            & levels.get(subject.level, 0)
            & boards.get(subject.board, 0)
            & versions.get(subject.spec_version, 0)
            & kinds.get(subject.kind, 0)
            & (slots.get(subject.slot_id, 0) | self._any_slot)
        )
        return self.rules[(matching & -matching).bit_length() - 1] if matching else None

    def nearest(self, subject: Subject) -> tuple[Rule, tuple[str, ...]] | None:
        """Return the enabled rule with the fewest failing fields, and these; None without enabled rules."""
        enabled = [(rule, rule.failing_fields(subject)) for rule in self.rules if rule.enabled]
        return min(enabled, key=lambda each: len(each[1]), default=None)


@lru_cache(maxsize=8)
def parse_allowlist(raw: bytes) -> Allowlist | None:
    """Return the policy in `raw`, or None when it is anything but a valid allowlist v1.

    Remembered by the exact bytes: the dial itself is read afresh for every job, and the same bytes are the
    same policy.
    """
    try:
        document = parse_json(raw, max_bytes=_MAX_BYTES)
    except ValueError:
        return None
    if not is_valid("allowlist.v1", document):
        return None
    rules = tuple(_rule(each) for each in document["rules"])
    # First match is named in the log: two rules of one name would make that name a riddle.
    if len({rule.id for rule in rules}) < len(rules):
        return None
    return _indexed(rules, enabled=document["enabled"], policy_hash=hash_of(raw))


def hash_of(raw: bytes) -> str:
    """Return the short name of a policy: the first 12 hex digits of its SHA-256."""
    return hashlib.sha256(raw).hexdigest()[:_HASH_DIGITS]


def _rule(document: dict[str, Any]) -> Rule:
    applies_to = document["appliesTo"]
    return Rule(
        id=document["id"],
        enabled=document["enabled"],
        subjects=frozenset(applies_to["subject"]),
        levels=frozenset(applies_to["level"]),
        boards=frozenset(applies_to["board"]),
        spec_versions=frozenset(applies_to["specVersion"]),
        kinds=frozenset(document["kinds"]),
        slot_ids=frozenset(document["slotIds"]),
        max_jobs_per_run=int(document["maxJobsPerRun"]),
    )


def _indexed(rules: tuple[Rule, ...], *, enabled: bool, policy_hash: str) -> Allowlist:
    live = [(1 << number, rule) for number, rule in enumerate(rules) if rule.enabled]
    indexes = (
        _index((bit, rule.subjects) for bit, rule in live),
        _index((bit, rule.levels) for bit, rule in live),
        _index((bit, rule.boards) for bit, rule in live),
        _index((bit, rule.spec_versions) for bit, rule in live),
        _index((bit, rule.kinds) for bit, rule in live),
        _index((bit, rule.slot_ids) for bit, rule in live),
    )
    any_slot = sum(bit for bit, rule in live if not rule.slot_ids)
    return Allowlist(enabled, rules, policy_hash, indexes, any_slot)


def _index(sets: Iterable[tuple[int, frozenset[str]]]) -> _Index:
    index: _Index = defaultdict(int)
    for bit, value in _pairs(sets):
        index[value] |= bit
    return dict(index)


def _pairs(sets: Iterable[tuple[int, frozenset[str]]]) -> Iterator[tuple[int, str]]:
    for bit, values in sets:
        for value in values:
            yield bit, value
