"""A drill of the rollback: what was measured, and whether the halt did what it must."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.generate.outcome import OutcomeRecord
from tasks.operations.changes.dials import NOTICED, RecordedChange

# Every worker must have halted and said so within this; a halt itself takes under 100 ms.
CONFIRM_MS = 1000.0
_BRAKE = {"KILL_SWITCH", "KILL_UNVERIFIED"}


@dataclass(frozen=True, slots=True)
class DrillCheck:
    """One thing that a drill checks: `passed`, and what was seen."""

    name: str
    passed: bool
    seen: str


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """What a drill leaves behind. `halt_ms`: from the SET to the last worker's word, None without it."""

    wall_ms: int
    actor: str
    passed: bool
    halt_ms: float | None
    workers: int
    cancelled_calls: int
    checks: tuple[DrillCheck, ...]


def confirmation_check(workers: int, confirmed: int, halt_ms: float) -> DrillCheck:
    """Whether all of at least one worker confirmed in time."""
    passed = workers > 0 and confirmed == workers and halt_ms <= CONFIRM_MS
    seen = f"{confirmed} of {workers} workers within {halt_ms:.0f} ms (at most {CONFIRM_MS:.0f})"
    return DrillCheck("every worker confirms the halt", passed, seen)


def outcomes_check(
    outcomes: Sequence[OutcomeRecord], probes: Sequence[OutcomeRecord], sent: int
) -> DrillCheck:
    """Whether every job that ended after the halt is a STUB by it, and all `sent` probes did end."""
    strays = [each for each in outcomes if each.status != "STUB" or each.error_code not in _BRAKE]
    passed = not strays and len(probes) == sent > 0
    answering = len({each.worker_id for each in probes})
    seen = (
        f"{len(probes)} of {sent} probes ended, at {answering} workers; "
        f"{len(strays)} of {len(outcomes)} outcomes were not by the kill switch"
    )
    if strays:
        stray = strays[0]
        seen += f", such as {stray.subject.job_id} {stray.status} {stray.error_code or ''}".rstrip()
    return DrillCheck("every outcome after the halt is a STUB by the kill switch", passed, seen)


def foreign_change(changes: Sequence[RecordedChange], actor: str, command: str) -> RecordedChange | None:
    """Return what was changed since a drill began beside its own pull, or None.

    `changes` are those since then, newest first. One like our own may be a second drill of the same person.
    """
    own = [each for each in changes if (each.actor, each.command) == (actor, command)][-1:]
    return next((each for each in changes if each not in own), None)


def later(change: RecordedChange, version: str) -> bool:
    """Whether a change came after the `version` of the dials: a place in each of the two records."""
    by_command, noticed = version.split()
    than = noticed if change.noticed else by_command
    places = (change.audit_id.removeprefix(NOTICED), than)
    place, other = ([int(number) for number in each.split("-")] for each in places)
    return place > other
