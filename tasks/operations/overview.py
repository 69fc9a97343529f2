"""The state of the fleet at one moment: brake, dials, workers, queue, outcomes, and what is in the way."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gates import BrakeState, Ceilings, Controls
from tasks.operations.changes import spend_cap
from tasks.operations.changes.dials import Dial, DialValues, RecordedChange
from tasks.operations.fleet import WorkerInfo
from tasks.operations.history import PastOutcome

# An outcome's status and errorCode, "" when COMPLETED.
Reason = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DialLine:
    """One dial: its raw value, what it amounts to under the environment's ceilings, and who set it last."""

    dial: Dial
    value: bytes | None
    effective: str
    malformed: bool
    restricted: bool
    last: RecordedChange | None


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing between now and the first generated job, and the command that clears it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `slotgen status` shows. `oldest_seconds` is None where nobody can say."""

    brake: BrakeState
    why: str
    dials: tuple[DialLine, ...]
    workers: tuple[WorkerInfo, ...]
    disagreements: tuple[str, ...]
    queue_depth: int
    oldest_seconds: float | None
    dead_letters: int
    outcomes: tuple[tuple[Reason, int], ...]
    blockers: tuple[Blocker, ...]
    now_wall_ms: int
    since_seconds: int


@dataclass(frozen=True, slots=True)
class OverviewSources:
    """What an overview is made of; `audit` newest first."""

    dials: DialValues
    ceilings: Ceilings
    audit: Sequence[RecordedChange]
    workers: Sequence[WorkerInfo]
    outcomes: Sequence[PastOutcome]
    queue_depth: int
    oldest_seconds: float | None
    dead_letters: int
    now_wall_ms: int
    since_seconds: int


def overview(of: OverviewSources) -> Overview:
    """Return the overview of one moment."""
    controls = Controls.parse(of.dials.raw, of.ceilings)
    counted = Counter((each.status, each.error_code or "") for each in of.outcomes)
    return Overview(
        brake=controls.brake,
        why=_why(controls) + _pulled(of),
        dials=tuple(_line(dial, of, controls) for dial in Dial),
        workers=tuple(of.workers),
        disagreements=tuple(_disagreements(of.workers, controls)),
        queue_depth=of.queue_depth,
        oldest_seconds=of.oldest_seconds,
        dead_letters=of.dead_letters,
        outcomes=tuple(counted.most_common()),
        blockers=tuple(_obstacles(of, controls)),
        now_wall_ms=of.now_wall_ms,
        since_seconds=of.since_seconds,
    )


def _why(controls: Controls) -> str:
    if controls.brake is BrakeState.RELEASED:
        return "the kill dial is false"
    trouble = controls.trouble("kill")
    return f"the kill dial {trouble}" if trouble else "the kill dial is on"


def _pulled(of: OverviewSources) -> str:
    """Return who has pulled the brake and why, where that was recorded with a reason."""
    last = next((each for each in of.audit if each.dial == Dial.KILL), None)
    if last is None or not last.reason or last.after != of.dials.value(Dial.KILL):
        return ""
    return f"; {last.actor}: {last.reason}"


def _line(dial: Dial, of: OverviewSources, controls: Controls) -> DialLine:
    return DialLine(
        dial=dial,
        value=of.dials.value(dial),
        effective=_cap(of.dials) if dial is Dial.BUDGET_USD else _effective(dial, controls),
        malformed=dial in controls.malformed or _malformed_cap(dial, of.dials),
        restricted=dial in controls.restricted,
        last=next((each for each in of.audit if each.dial == dial), None),
    )


def _malformed_cap(dial: Dial, dials: DialValues) -> bool:
    raw = dials.budget_usd
    return dial is Dial.BUDGET_USD and raw is not None and not spend_cap.valid(raw)


def _cap(dials: DialValues) -> str:
    nano = spend_cap.nano_usd(dials.budget_usd)
    return "no cap" if nano is None else f"${nano / 1e9:g} a window"


def _effective(dial: Dial, controls: Controls) -> str:
    if dial is Dial.KILL:
        return "released" if controls.brake is BrakeState.RELEASED else "halted"
    if dial is Dial.FEATURE:
        return "on" if controls.feature_enabled else "off"
    if dial is Dial.ROLLOUT_PERCENT:
        return f"{controls.rollout_thousandths / 1000:g} %"
    policy = controls.allowlist
    if policy is None or not policy.enabled:
        return "denies all"
    return f"{sum(rule.enabled for rule in policy.rules)} of {len(policy.rules)} rules"


def _disagreements(workers: Sequence[WorkerInfo], controls: Controls) -> Iterator[str]:
    for what, values in (
        ("versions", {each.version for each in workers}),
        ("executor versions", {each.executor_version for each in workers}),
    ):
        if len(values) > 1:
            yield f"the workers have different {what}: {', '.join(sorted(values))}"
    for each in workers:
        if each.policy_hash != controls.policy_hash:
            name = f"{each.host}/{each.pid}"
            yield f"worker {name} saw policy {each.policy_hash} last, not {controls.policy_hash}"


def _obstacles(of: OverviewSources, controls: Controls) -> list[Blocker]:
    found = []
    if not of.workers:
        found.append(Blocker("no worker is running", "slotgen worker"))
    if not controls.feature_enabled:
        found.append(Blocker(f"the feature is off{_because(controls, Dial.FEATURE)}", "slotgen feature on"))
    if _effective(Dial.ALLOWLIST, controls) == "denies all":
        what = f"the allowlist denies every job{_because(controls, Dial.ALLOWLIST)}"
        usable = controls.allowlist is not None
        command = "slotgen allowlist enable" if usable else "slotgen allowlist push FILE"
        found.append(Blocker(what, command))
    if not controls.rollout_thousandths:
        what = f"the percentage admits nobody{_because(controls, Dial.ROLLOUT_PERCENT)}"
        found.append(Blocker(what, "slotgen rollout 1"))
    if controls.brake is not BrakeState.RELEASED:
        # Last, as in the runbook: everything else is set while the brake is on.
        found.append(Blocker(f"the brake is on: {_why(controls)}", 'slotgen resume --reason "…"'))
    return found


def _because(controls: Controls, dial: Dial) -> str:
    trouble = controls.trouble(dial)
    return f": the dial {trouble}" if trouble else ""
