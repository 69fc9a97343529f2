"""Says rule by rule how one policy differs from another."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gates.policy import Allowlist
from gates.rule import FIELDS, AllowRule
from tasks.operations.policy_diff.cells import cell_of
from tasks.operations.policy_diff.comparison import grants_more

_EVERY_SLOT = frozenset({"(every slot)"})


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


def rule_differences(before: Allowlist | None, after: Allowlist | None) -> tuple[RuleDifference, ...]:
    """Return the rules that differ, by id: those of `after` in its order, then those that it dropped."""
    old = {rule.id: rule for rule in before.rules} if before else {}
    new = {rule.id: rule for rule in after.rules} if after else {}
    found = [_difference(old.get(name), rule) for name, rule in new.items() if old.get(name) != rule]
    dropped = [RuleDifference(name, Difference.REMOVED, ()) for name in old if name not in new]
    return (*found, *dropped)


def _difference(old: AllowRule | None, new: AllowRule) -> RuleDifference:
    if old is None:
        return RuleDifference(new.id, Difference.ADDED, ())
    changes = tuple(_changes(old, new))
    wider, narrower = grants_more(old, new), grants_more(new, old)
    if wider == narrower:
        return RuleDifference(new.id, Difference.CHANGED, changes)
    return RuleDifference(new.id, Difference.BROADER if wider else Difference.NARROWER, changes)


def _changes(old: AllowRule, new: AllowRule) -> Iterator[str]:
    if old.enabled != new.enabled:
        yield "enabled" if new.enabled else "disabled"
    for name, mine, theirs in zip(FIELDS, cell_of(old, _EVERY_SLOT), cell_of(new, _EVERY_SLOT), strict=True):
        added = [f"+{each}" for each in sorted(theirs - mine)]
        removed = [f"-{each}" for each in sorted(mine - theirs)]
        if added or removed:
            yield f"{name} {' '.join(added + removed)}"
    if old.max_jobs_per_run != new.max_jobs_per_run:
        yield f"maxJobsPerRun {old.max_jobs_per_run} -> {new.max_jobs_per_run}"
