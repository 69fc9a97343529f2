"""The runbook's rule for increasing exposure: one dimension at a time, and observe before the next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.operations.changes.dials import RecordedChange
from tasks.operations.changes.exposure import DIMENSIONS, named
from tasks.operations.timefmt import ago, span

_OTHERWISE = 'or pass --override "reason"'
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a change is allowed now; a no has a sentence and, if waiting helps, for how long."""

    allowed: bool
    sentence: str = ""
    wait_seconds: int | None = None


GRANTED = Permission(allowed=True)
UNKNOWN = Permission(
    allowed=False,
    sentence="the record of changes does not say what was live before, so there is nothing to compare this "
    'with; see `slotgen audit`, begin small, and pass --override "reason"',
)


def permission(
    widens: Sequence[str],
    recent: Iterable[RecordedChange],
    last_outcome_wall_ms: int | None,
    now_wall_ms: int,
    window_seconds: int,
) -> Permission:
    """Return whether `widens` may be widened now, after the changes in `recent` (newest first)."""
    if not widens:
        return GRANTED
    if len(widens) > 1:
        names = " and ".join(map(named, widens))
        return _no(f"this widens {names} at once; change only one of them, {_OTHERWISE}")
    widenings = [each for each in recent if each.widened]
    return (
        _other_widened(widens[0], widenings, now_wall_ms, window_seconds)
        or _unobserved(widenings, last_outcome_wall_ms, now_wall_ms)
        or GRANTED
    )


def _other_widened(
    dimension: str, widenings: Sequence[RecordedChange], now_wall_ms: int, window_seconds: int
) -> Permission | None:
    since_ms = now_wall_ms - window_seconds * 1000
    others = DIMENSIONS.keys() - {dimension}
    found = next((each for each in widenings if each.wall_ms > since_ms and others & set(each.widened)), None)
    if found is None:
        return None
    wait_seconds = max(1, -((since_ms - found.wall_ms) // 1000))
    which = " and ".join(map(named, sorted(others & set(found.widened))))
    wait = _at_least(wait_seconds)
    return _no(
        f"{which} was widened {ago(now_wall_ms - found.wall_ms)} by {found.who}, and only one dimension "
        f"may be widened within {span(window_seconds)}; observe, and wait {wait}, {_OTHERWISE}",
        wait_seconds,
    )


def _at_least(seconds: int) -> str:
    """Return a wait in words, rounded up to whole minutes: rounded down, it would end in a second refusal."""
    return span(seconds if seconds <= _MINUTE else -(-seconds // _MINUTE) * _MINUTE)


def _unobserved(
    widenings: Sequence[RecordedChange], last_outcome_wall_ms: int | None, now_wall_ms: int
) -> Permission | None:
    if not widenings or (last_outcome_wall_ms or 0) > widenings[0].wall_ms:
        return None
    when = ago(now_wall_ms - widenings[0].wall_ms)
    return _no(
        f"no job has ended since the last widening {when}, so there is nothing to observe yet; "
        f"wait for outcomes (slotgen tail), {_OTHERWISE}"
    )


def _no(sentence: str, wait_seconds: int | None = None) -> Permission:
    return Permission(allowed=False, sentence=sentence, wait_seconds=wait_seconds)
