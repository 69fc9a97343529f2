"""Says whether one policy admits anything that another does not, exactly and rule by rule.

A rule is a box: a set of values in each of six fields. What a policy newly admits is what is left of its
boxes when the other's are cut away, the first match winning in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gates.policy import Allowlist
from gates.rule import Rule

FIELDS = (
    "appliesTo.subject",
    "appliesTo.level",
    "appliesTo.board",
    "appliesTo.specVersion",
    "kinds",
    "slotIds",
)
ANY_OTHER_SLOT = "(any other slot)"
# Beyond this many pieces of one rule nobody waits for the answer: it is taken as broader.
_MOST_PIECES = 20_000
_Box = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is newly admitted: by `rule_id`, a region with one set of values for each of `FIELDS`.

    `limit_before` is the `maxJobsPerRun` that held there before, or None when nothing was admitted.
    """

    rule_id: str
    region: _Box
    limit_before: int | None
    limit_after: int

    @property
    def sentence(self) -> str:
        """The part in one line, with one example of each field."""
        example = ", ".join(min(values) for values in self.region)
        if self.limit_before is None:
            return f"rule {self.rule_id} newly admits, for one, {example}"
        limits = f"{self.limit_before} to {self.limit_after}"
        return f"rule {self.rule_id} raises the jobs of a spec from {limits}, for one for {example}"


class Difference(StrEnum):
    """What became of one rule."""

    ADDED = "added"
    REMOVED = "removed"
    BROADER = "broader"
    NARROWER = "narrower"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """One rule that is not what it was; `changes` are the fields that differ, in words."""

    rule_id: str
    difference: Difference
    changes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The difference in one line."""
        return f"rule {self.rule_id}: {self.difference}" + "".join(f"; {each}" for each in self.changes)


class _TooFine(Exception):  # noqa: N818 - says what is the matter
    """The answer would take too many pieces."""


def is_broader(before: Allowlist | None, after: Allowlist | None) -> bool:
    """Whether `after` admits any job, or more jobs of a spec, that `before` does not; None admits nothing."""
    return next(broader_parts(before, after), None) is not None


def broader_parts(before: Allowlist | None, after: Allowlist | None) -> Iterator[Part]:
    """Yield what `after` admits beyond `before`, lazily; nothing exactly when it is not broader."""
    old, new = _live(before), _live(after)
    slots = frozenset().union(*(rule.slot_ids for rule in (*old, *new))) | {ANY_OTHER_SLOT}
    old_boxes = [(_box(rule, slots), rule.max_jobs_per_run) for rule in old]
    # Where every rule has the same limit, one that was there before admits nothing new, wherever it stands.
    kept = set(old) if len({rule.max_jobs_per_run for rule in (*old, *new)}) == 1 else set()
    shadows: list[_Box] = []
    for rule in new:
        box = _box(rule, slots)
        if rule not in kept:
            yield from _beyond(rule, box, shadows, old_boxes)
        shadows.append(box)


def rule_differences(before: Allowlist | None, after: Allowlist | None) -> tuple[RuleDifference, ...]:
    """Return the rules that differ, by id: those of `after` in its order, then those that it dropped."""
    old = {rule.id: rule for rule in before.rules} if before else {}
    new = {rule.id: rule for rule in after.rules} if after else {}
    found = [_difference(old.get(name), rule) for name, rule in new.items() if old.get(name) != rule]
    dropped = [RuleDifference(name, Difference.REMOVED, ()) for name in old if name not in new]
    return (*found, *dropped)


def _live(policy: Allowlist | None) -> list[Rule]:
    return [rule for rule in policy.rules if rule.enabled] if policy and policy.enabled else []


def _box(rule: Rule, slots: frozenset[str]) -> _Box:
    return (
        rule.subjects,
        rule.levels,
        rule.boards,
        rule.spec_versions,
        rule.kinds,
        rule.slot_ids or slots,
    )


def _beyond(rule: Rule, box: _Box, shadows: list[_Box], old: list[tuple[_Box, int]]) -> Iterator[Part]:
    """Yield the parts of `rule` that no earlier rule has, and that `old` did not admit as freely."""
    limit = rule.max_jobs_per_run
    try:
        pieces = [box] if all(box) else []
        for shadow in shadows:
            pieces = _cut(pieces, shadow)
        for old_box, old_limit in old:
            if old_limit < limit:
                yield from (Part(rule.id, both, old_limit, limit) for both in _overlaps(pieces, old_box))
            pieces = _cut(pieces, old_box)
        yield from (Part(rule.id, piece, None, limit) for piece in pieces)
    except _TooFine:
        yield Part(rule.id, box, None, limit)


def _overlaps(pieces: list[_Box], other: _Box) -> Iterator[_Box]:
    for piece in pieces:
        both = tuple(mine & theirs for mine, theirs in zip(piece, other, strict=True))
        if all(both):
            yield both


def _cut(pieces: list[_Box], other: _Box) -> list[_Box]:
    """Return what is left of `pieces` outside `other`, as boxes that do not overlap."""
    left = [rest for piece in pieces for rest in _outside(piece, other)]
    if len(left) > _MOST_PIECES:
        raise _TooFine
    return left


def _outside(piece: _Box, other: _Box) -> Iterator[_Box]:
    if not all(mine & theirs for mine, theirs in zip(piece, other, strict=True)):
        yield piece
        return
    inside: list[frozenset[str]] = []
    for number, (mine, theirs) in enumerate(zip(piece, other, strict=True)):
        if mine - theirs:
            yield (*inside, mine - theirs, *piece[number + 1 :])
        inside.append(mine & theirs)


def _difference(old: Rule | None, new: Rule) -> RuleDifference:
    if old is None:
        return RuleDifference(new.id, Difference.ADDED, ())
    changes = tuple(_changes(old, new))
    wider, narrower = _alone_broader(old, new), _alone_broader(new, old)
    if wider == narrower:
        return RuleDifference(new.id, Difference.CHANGED, changes)
    return RuleDifference(new.id, Difference.BROADER if wider else Difference.NARROWER, changes)


def _alone_broader(old: Rule, new: Rule) -> bool:
    """Whether `new` admits more than `old`, each seen without the other rules."""
    if not new.enabled:
        return False
    slots = old.slot_ids | new.slot_ids | {ANY_OTHER_SLOT}
    olds = [(_box(old, slots), old.max_jobs_per_run)] if old.enabled else []
    return next(_beyond(new, _box(new, slots), [], olds), None) is not None


def _changes(old: Rule, new: Rule) -> Iterator[str]:
    if old.enabled != new.enabled:
        yield "enabled" if new.enabled else "disabled"
    for name, mine, theirs in zip(FIELDS, _lists(old), _lists(new), strict=True):
        added = [f"+{each}" for each in sorted(theirs - mine)]
        removed = [f"-{each}" for each in sorted(mine - theirs)]
        if added or removed:
            yield f"{name} {' '.join(added + removed)}"
    if old.max_jobs_per_run != new.max_jobs_per_run:
        yield f"maxJobsPerRun {old.max_jobs_per_run} -> {new.max_jobs_per_run}"


def _lists(rule: Rule) -> _Box:
    return _box(rule, rule.slot_ids or frozenset({"(every slot)"}))
