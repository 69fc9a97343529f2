"""What was live, and when, according to the record of changes; and what goes beyond that."""

from collections.abc import Sequence
from dataclasses import dataclass

from gates import RawControls
from tasks.operations.changes import spend_cap
from tasks.operations.changes.dials import RAW_COMMAND, DialValues, RecordedChange
from tasks.operations.changes.exposure import is_live, widened


@dataclass(frozen=True, slots=True)
class Period:
    """What the dials held until a recorded change, by Redis's clock.

    Raw commands are recorded together when they are noticed: the state between two of them never existed
    (`was`).
    """

    raw: RawControls
    ended_wall_ms: int
    was: bool = True


def periods(dials: DialValues, recent: Sequence[RecordedChange], now_wall_ms: int) -> list[Period]:
    """Return the periods that follow each of `recent` and the one before them all, newest first.

    A policy of which only the digest is recorded counts as shut, unless the dials still hold it: what cannot
    be read was not observed.
    """
    values = dict(dials.raw)
    ended, noticed = now_wall_ms + 1, False
    found = []
    for change, before in zip(recent, _values_before(recent), strict=True):
        found.append(Period(dict(values), ended, was=not (noticed and change.wall_ms == ended)))
        values[change.dial], ended, noticed = before, change.wall_ms, change.command == RAW_COMMAND
    return [*found, Period(values, ended)]


def exposures(history: Sequence[Period], since_wall_ms: int) -> list[RawControls]:
    """Return what was live at or after `since_wall_ms`, or else what was live last; newest first."""
    lived = (each for each in history if each.was and is_live(each.raw))
    found: list[RawControls] = []
    for each in lived:
        if found and each.ended_wall_ms <= since_wall_ms:
            break
        if each.raw not in found:
            found.append(each.raw)
        if each.ended_wall_ms <= since_wall_ms:
            break
    return found


def ways_beyond(observed: Sequence[RawControls], after: RawControls) -> list[tuple[str, ...]]:
    """Return the dimensions in which `after` exceeds each of `observed` (newest first), each on its own.

    The largest values of each dimension are never combined: 100 % of a narrow policy and 1 % of a broad one
    are not 100 % of the broad one. The spend cap is not exposure, and is compared with the newest: a lowered
    cap counts at once.
    """
    cap = spend_cap.DIAL.name
    return [widened({**each, cap: observed[0].get(cap)}, after) for each in observed]


def _values_before(recent: Sequence[RecordedChange]) -> list[bytes | None]:
    """Return the values before each change, as the last one left them: a halt may be recorded without."""
    left: dict[str, bytes | None] = {}
    found = []
    for each in reversed(recent):
        found.append(left.get(each.dial, each.before))
        left[each.dial] = each.after
    return found[::-1]
