"""A drill of the rollback: what was measured, and whether the halt did what it must."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gates import Controls, Subject, bucket, explain
from gates.rule import AllowRule
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.changes.dials import NOTICED, RecordedChange
from tasks.operations.money import usd
from tasks.operations.probes import probe_name
from tasks.operations.timefmt import counted, milliseconds

# Every worker must have halted and confirmed it within this time; a halt itself takes under 100 ms.
CONFIRM_MS = 1000.0
# A rollout of 0.01 % lets one name of 10,000 in.
_NAMES = 100_000
# The longest answer of all types, so that the call stays in flight for long.
_OUTPUT_TYPE = "revision"
CALLS_CHECK = "calls in flight were cancelled"
_BRAKE = {"KILL_SWITCH", "KILL_UNVERIFIED"}


@dataclass(frozen=True, slots=True)
class DrillCheck:
    """One thing that a drill checks: `passed`, and what was seen."""

    name: str
    passed: bool
    seen: str


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """The record of a drill. `halt_ms`: from the SET to the last worker's confirmation, None without one."""

    wall_ms: int
    actor: str
    passed: bool
    halt_ms: float | None
    workers: int
    cancelled_calls: int
    checks: tuple[DrillCheck, ...]

    @property
    def proves_nothing(self) -> bool:
        """Whether everything was as it should be, except that there was no call to cancel."""
        return [each.name for each in self.checks if not each.passed] == [CALLS_CHECK]


@dataclass(frozen=True, slots=True)
class DrillJobs:
    """The job specs of a drill whose calls the halt must cancel; if there are none, `why` says so."""

    specs: tuple[dict[str, Any], ...] = ()
    why: str = ""


def drill_jobs(controls: Controls, number: int) -> DrillJobs:
    """Return `number` specs of one job each that the dials let through to the model."""
    rules = [each for each in (controls.allowlist.rules if controls.allowlist else ()) if each.enabled]
    inside = (name for name in _names() if bucket(name) < controls.rollout_thousandths)
    name = next(inside, "drill")
    why = "no rule of the allowlist is enabled"
    for rule in rules:
        subject = _subject(name, rule)
        refusal = next((each for each in explain(subject, controls) if not each.allowed), None)
        if refusal is None:
            names = [name, *islice(inside, number - 1)][:number]
            return DrillJobs(tuple(_spec(_subject(each, rule)) for each in names))
        why = refusal.detail
    return DrillJobs(why=why)


def _names() -> Iterator[str]:
    return (probe_name("drill") for _ in range(_NAMES))


def _subject(name: str, rule: AllowRule) -> Subject:
    subject, level, board, version, kind = (min(each) for each in rule.lists[:-1])
    slot = min(rule.slot_ids, default="drill")
    return Subject(name, slot, kind, subject, level, board, version, opted_in=True)


def _spec(subject: Subject) -> dict[str, Any]:
    job = {
        "jobId": subject.job_id,
        "slotId": subject.slot_id,
        "kind": subject.kind,
        "mode": "generate",
        "input": {"note": "A rehearsal of the kill switch: this call is to be cancelled."},
        "output": {"field": "drill", "type": _OUTPUT_TYPE},
        "sources": [],
        "required": False,
    }
    names = {"subject": subject.subject, "level": subject.level, "board": subject.board}
    return {
        "version": "v1",
        "appliesTo": names | {"specVersion": subject.spec_version},
        "jobs": [job],
        "metadata": {"requiresReview": False, "allowAI": True},
    }


def calls_check(cancelled: int, own: Sequence[OutcomeRecord], why: str) -> DrillCheck:
    """Whether the halt had anything to cancel; `own` has the outcomes of the drill's own jobs."""
    cost = f"; the drill's own are charged {usd(sum(each.cost_nano_usd for each in own))}" if own else ""
    before = (
        f"its own ended as {f'{own[0].status} {own[0].cause}'.rstrip()}" if own else "its own had not begun"
    )
    none = f"none was in flight ({why or before}), so nothing is proved"
    # A worker also counts calls that had yet to begin.
    begun = cancelled - sum(each.path == "stub" for each in own)
    return DrillCheck(CALLS_CHECK, begun > 0, f"{begun}{cost}" if begun > 0 else none)


def confirmation_check(workers: int, confirmed: int, halt_ms: float) -> DrillCheck:
    """Whether all of at least one worker confirmed in time."""
    passed = workers > 0 and confirmed == workers and halt_ms <= CONFIRM_MS
    seen = f"{counted(confirmed, 'worker', of=workers)} within {milliseconds(halt_ms)} (at most 1 s)"
    return DrillCheck("every worker confirms the halt", passed, seen)


def outcomes_check(
    outcomes: Sequence[OutcomeRecord], probes: Sequence[OutcomeRecord], sent: int
) -> DrillCheck:
    """Whether every job that ended after the halt was a STUB because of it, and all `sent` probes ended."""
    strays = [each for each in outcomes if each.status != "STUB" or each.error_code not in _BRAKE]
    passed = not strays and len(probes) == sent > 0
    answering = len({each.worker_id for each in probes})
    seen = (
        f"{counted(len(probes), 'probe', of=sent)} ended, at {counted(answering, 'worker')}; "
        f"{counted(len(strays), 'outcome', of=len(outcomes))} not by the kill switch"
    )
    if strays:
        stray = strays[0]
        seen += f", such as {stray.subject.job_id} {stray.status} {stray.error_code or ''}".rstrip()
    return DrillCheck("every outcome after the halt is a STUB by the kill switch", passed, seen)


def foreign_change(changes: Sequence[RecordedChange], actor: str, command: str) -> RecordedChange | None:
    """Return a change since a drill began that is not the drill's own, or None.

    `changes` are those since then, newest first. One like our own may be a second drill by the same person.
    """
    own = [each for each in changes if (each.actor, each.command) == (actor, command)][-1:]
    return next((each for each in changes if each not in own), None)


def later(change: RecordedChange, version: str) -> bool:
    """Whether a change came after the `version` of the dials, a position in each of the two records."""
    by_command, noticed = version.split()
    than = noticed if change.noticed else by_command
    places = (change.audit_id.removeprefix(NOTICED), than)
    place, other = ([int(number) for number in each.split("-")] for each in places)
    return place > other
