"""One change of a dial: what it would do, whether it may be made now, and the making of it."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from gates import BrakeState, Controls, Dial, RawControls, kill_switch
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.changes.dials import RAW_COMMAND, Change, DialValues, RecordedChange
from tasks.operations.changes.estimate import Effect, estimate
from tasks.operations.changes.exposure import opens, widened
from tasks.operations.changes.one_dimension import Permission, judge

FIRST_OPENING = "first_opening"


class ChangeRefused(Exception):  # noqa: N818 - a refusal is not a malfunction
    """The change may not be made now; the text says why, and what would let it pass."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a change is judged by. `outcomes` are those of the last 24 h, `wall_ms` is Redis's clock.

    `recent` has the changes that the one-dimension rule can see, newest first.
    """

    dials: DialValues
    recent: list[RecordedChange]
    outcomes: list[OutcomeRecord]
    wall_ms: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change before it is made. `at_once` is false while the kill switch is on: then nothing widens yet."""

    dial: Dial[Any]
    before: bytes | None
    after: bytes | None
    at_once: bool
    widens: tuple[str, ...]
    effect: Effect
    verdict: Permission


def propose(situation: Situation, dial: Dial[Any], after: bytes | None) -> Proposal:
    """Return what setting `dial` to `after` (None: no key) would do."""
    dials = situation.dials
    raw_after = dials.with_value(dial, after)
    # Without ceilings: those of the operator's shell say nothing about the workers'.
    before, will_be = Controls.parse(dials.raw), Controls.parse(raw_after)
    at_once = BrakeState.RELEASED in (before.brake, will_be.brake)
    dimensions, first = _widened(dials, raw_after) if at_once else ((), False)
    if dial is kill_switch.DIAL and before.brake is not BrakeState.RELEASED:
        # The effect of a release is measured from nothing.
        before = Controls.unreadable("the kill switch is on")
    return Proposal(
        dial=dial,
        before=dials.value(dial),
        after=after,
        at_once=at_once,
        widens=(FIRST_OPENING,) if first else dimensions,
        effect=estimate(situation.outcomes, before, will_be),
        verdict=_judged(situation, dimensions),
    )


def permitted(proposal: Proposal, *, actor: str, command: str, reason: str, override: str) -> Change:
    """Return the change that `proposal` may become.

    Raises:
        ChangeRefused: the one-dimension rule says no, and no `override` says why not to mind.

    """
    overrode = "" if proposal.verdict.allowed else override
    if not proposal.verdict.allowed and not override:
        raise ChangeRefused(proposal.verdict.sentence)
    why = reason or override
    return Change(proposal.dial, proposal.after, actor, command, why, proposal.widens, overrode)


def _with_widening(recorded: RecordedChange) -> RecordedChange:
    """Return a raw change with what it has widened, which was not worked out when it was made."""
    if recorded.command != RAW_COMMAND:
        return recorded
    before, after = ({recorded.dial: value} for value in (recorded.before, recorded.after))
    return dataclasses.replace(recorded, widened=widened(before, after))


def judge_release(situation: Situation, after: RawControls) -> Permission:
    """Return whether the dials may become `after`, all at once, with the kill switch off."""
    return _judged(situation, _widened(situation.dials, after)[0])


def _widened(dials: DialValues, after: RawControls) -> tuple[tuple[str, ...], bool]:
    """Return what is wider than what was live last, and whether nothing ever was.

    While the kill switch is on, any number of dials may be set; its release is judged by their sum.
    """
    return (widened(dials.live, after), False) if opens(dials.live) else ((), opens(after))


def _judged(situation: Situation, dimensions: tuple[str, ...]) -> Permission:
    last = situation.outcomes[-1].wall_ms if situation.outcomes else None
    recent = map(_with_widening, situation.recent)
    return judge(dimensions, recent, last, situation.wall_ms, situation.window_seconds)
