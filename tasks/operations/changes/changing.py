"""One change of a dial: what it would do, whether it is allowed now, and making it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gates import BrakeState, Controls, Dial, RawControls, kill_switch
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.changes.dials import RAW_COMMAND, Change, DialValues, RecordedChange
from tasks.operations.changes.estimate import Effect, estimate
from tasks.operations.changes.exposure import is_live
from tasks.operations.changes.observed import Period, exposures, periods, ways_beyond
from tasks.operations.changes.one_dimension import GRANTED, UNKNOWN, Permission, permission

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
    # Without ceilings: those in the operator's shell say nothing about the workers'.
    before, will_be = Controls.parse(dials.raw), Controls.parse(raw_after)
    at_once = BrakeState.RELEASED in (before.brake, will_be.brake)
    widens, verdict = _permission(situation, raw_after)
    if dial is kill_switch.DIAL and before.brake is not BrakeState.RELEASED:
        # The effect of a release is measured from nothing.
        before = Controls.unreadable("the kill switch is on")
    return Proposal(
        dial=dial,
        before=dials.value(dial),
        after=after,
        at_once=at_once,
        widens=widens,
        effect=estimate(situation.outcomes, before, will_be),
        verdict=verdict,
    )


def permitted(proposal: Proposal, *, actor: str, command: str, reason: str, override: str) -> Change:
    """Return the change that `proposal` may become.

    Raises:
        ChangeRefused: the one-dimension rule forbids it, and no `override` gives a reason to ignore that.

    """
    overrode = "" if proposal.verdict.allowed else override
    if not proposal.verdict.allowed and not override:
        raise ChangeRefused(proposal.verdict.sentence)
    why = reason or override
    return Change(proposal.dial, proposal.after, actor, command, why, proposal.widens, overrode)


def permission_to_release(situation: Situation, after: RawControls) -> Permission:
    """Return whether the dials may become `after`, all at once, with the kill switch off."""
    return _permission(situation, after)[1]


def _permission(situation: Situation, after: RawControls) -> tuple[tuple[str, ...], Permission]:
    """Return what `after` widens beyond all that was live in the window, and whether it may.

    Only what would be live counts: while a fleet is closed, any number of dials may be set, and the change
    that opens it again is judged by their sum.
    """
    if not is_live(after):
        return (), GRANTED
    history = periods(situation.dials, situation.recent, situation.wall_ms)
    window_ms = situation.window_seconds * 1000
    observed = exposures(history, situation.wall_ms - window_ms)
    if not observed and is_live(situation.dials.live):
        observed = [situation.dials.live]
    if not observed:
        # The kill switch was off, yet everything that was live is gone from the record.
        known = situation.dials.live.get(kill_switch.DIAL.name) is None or _begins(history)
        return (FIRST_OPENING,), GRANTED if known else UNKNOWN
    recent = [
        _with_widening(each, history[number:], window_ms) for number, each in enumerate(situation.recent)
    ]
    last = situation.outcomes[-1].wall_ms if situation.outcomes else None
    ways = sorted(ways_beyond(observed, after), key=len)
    found = [
        (way, permission(way, recent, last, situation.wall_ms, situation.window_seconds))
        for way in dict.fromkeys(ways)
    ]
    return next((each for each in found if each[1].allowed), found[0])


def _begins(history: Sequence[Period]) -> bool:
    """Whether the record still goes back to its beginning, when no dial but the kill switch held anything."""
    return all(value is None for name, value in history[-1].raw.items() if name != kill_switch.DIAL.name)


def _with_widening(recorded: RecordedChange, history: Sequence[Period], window_ms: int) -> RecordedChange:
    """Return a raw change with what it widened, which was not worked out when it was made.

    `history` begins with the period that followed it.
    """
    if recorded.command != RAW_COMMAND:
        return recorded
    now, *before = history
    if not (now.was and is_live(now.raw)):
        return recorded
    observed = exposures(before, recorded.wall_ms - window_ms)
    way = min(ways_beyond(observed, now.raw), key=len, default=(FIRST_OPENING,))
    return dataclasses.replace(recorded, widened=way)
