"""Says exactly whether one policy admits anything that another does not, whatever their rules look like.

A rule is a box of jobs. What a rule newly admits is what is left of its box when the rules before it and
all rules of the other policy are cut away, since the first match wins in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import or_

from gates.policy import Allowlist
from gates.rule import AllowRule
from tasks.operations.policy_diff.cells import Box, Cells, ComplexityLimit, cell_of, numbers, overlap

ANY_OTHER_SLOT = "(any other slot)"
# About 2 s, as long as an operator will wait. 1,000 rules of which a few changed take a few thousand steps.
_MOST_STEPS = 200_000


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is newly admitted: by `rule_id`, a region with one set of values for each of `FIELDS`.

    `limit_before` is the `maxJobsPerRun` that held there before, or None when nothing was admitted. A region
    that is not `compared` would take too long, so it counts as new.
    """

    rule_id: str
    region: Box
    limit_before: int | None
    limit_after: int
    compared: bool = True

    @property
    def sentence(self) -> str:
        """The part in one line, with one example of each field."""
        if not self.compared:
            return f"rule {self.rule_id} overlaps too many others to be compared, and is taken as broader"
        example = ", ".join(min(values) for values in self.region)
        if self.limit_before is None:
            return f"rule {self.rule_id} newly admits, for one, {example}"
        limits = f"{self.limit_before} to {self.limit_after}"
        return f"rule {self.rule_id} raises the jobs of a spec from {limits}, for one for {example}"


def is_broader(before: Allowlist | None, after: Allowlist | None) -> bool:
    """Whether `after` admits any job, or more jobs of a spec, that `before` does not; None admits nothing."""
    return next(broader_parts(before, after), None) is not None


def broader_parts(
    before: Allowlist | None, after: Allowlist | None, most_steps: int = _MOST_STEPS
) -> Iterator[Part]:
    """Yield what `after` admits beyond `before`, lazily; nothing exactly when it is not broader.

    After `most_steps` (of about 10 µs) it gives up, with a last part that is not `compared`.
    """
    return _parts(_live(before), _live(after), most_steps)


def grants_more(old: AllowRule, new: AllowRule) -> bool:
    """Whether `new` admits any job, or more jobs of a spec, that `old` does not, each seen on its own."""
    before, after = ([rule] if rule.enabled else [] for rule in (old, new))
    return next(_parts(before, after, _MOST_STEPS), None) is not None


@dataclass(frozen=True, slots=True)
class _Grant:
    """What one enabled rule grants, whatever its id."""

    rule_id: str = field(compare=False)
    cell: Box
    limit: int


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two policies; in `cells` the new rules come first, then the old ones.

    `kept` has the number of the old rule that grants the same; `lower` the old rules under a limit;
    `still_ahead`, for each new rule, the old ones that were kept before it.
    """

    old: list[_Grant]
    new: list[_Grant]
    cells: Cells
    kept: dict[_Grant, int]
    lower: dict[int, int]
    still_ahead: list[int]

    @classmethod
    def of(cls, old: list[_Grant], new: list[_Grant]) -> _Comparison:
        kept = {grant: number for number, grant in enumerate(old)}
        lower = {limit: _under(limit, old) for limit in {grant.limit for grant in new}}
        found = (1 << kept[grant] if grant in kept else 0 for grant in new)
        still_ahead = list(accumulate(found, or_, initial=0))
        return cls(old, new, Cells.of([grant.cell for grant in (*new, *old)]), kept, lower, still_ahead)

    def beyond(self, number: int, steps: Iterator[int]) -> Iterator[Part]:
        """Yield the parts that one new rule adds: what had a lower limit, then what nothing admitted."""
        grant = self.new[number]
        for rival in numbers(self._rivals(number)):
            both = overlap(grant.cell, self.old[rival].cell)
            for piece in self.cells.outside(both, self._before(number, rival), steps):
                yield Part(grant.rule_id, piece, self.old[rival].limit, grant.limit)
        for piece in self.cells.outside(grant.cell, self._before(number, len(self.old)), steps):
            yield Part(grant.rule_id, piece, None, grant.limit)

    def _rivals(self, number: int) -> int:
        """Return the old rules whose lower limit may have held where this new rule is the first match.

        A rule that was kept and still comes before it is still the first match there; and a rule that was
        kept is itself the old match, except for what came before it.
        """
        grant = self.new[number]
        near = self.cells.touching(grant.cell) >> len(self.new)
        ahead = _first(self.kept.get(grant, len(self.old)))
        return near & ahead & self.lower[grant.limit] & ~self.still_ahead[number]

    def _before(self, number: int, rival: int) -> int:
        return _first(number) | _first(rival) << len(self.new)


def _parts(before: Sequence[AllowRule], after: Sequence[AllowRule], most_steps: int) -> Iterator[Part]:
    slots = frozenset({ANY_OTHER_SLOT}).union(*(rule.slot_ids for rule in (*before, *after)))
    comparison = _Comparison.of(_grants(before, slots), _grants(after, slots))
    steps = iter(range(most_steps))
    for number, grant in enumerate(comparison.new):
        try:
            yield from comparison.beyond(number, steps)
        except ComplexityLimit:
            yield Part(grant.rule_id, grant.cell, None, grant.limit, compared=False)
            return


def _live(policy: Allowlist | None) -> list[AllowRule]:
    return [rule for rule in policy.rules if rule.enabled] if policy and policy.enabled else []


def _grants(rules: Sequence[AllowRule], slots: frozenset[str]) -> list[_Grant]:
    return [_Grant(rule.id, cell_of(rule, slots), rule.max_jobs_per_run) for rule in rules]


def _first(count: int) -> int:
    return (1 << count) - 1


def _under(limit: int, grants: list[_Grant]) -> int:
    return sum(1 << number for number, grant in enumerate(grants) if grant.limit < limit)
