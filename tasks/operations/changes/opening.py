"""The runbook's safe enable sequence: halt, then feature, policy and percentage; the release comes last."""

from dataclasses import dataclass
from typing import Any

from gates import (
    DIALS,
    BrakeState,
    Controls,
    Dial,
    RawControls,
    Subject,
    allowlist,
    bucket,
    kill_switch,
    rollout,
)
from tasks.operations.changes.dials import DialValues

# At the smallest percentage, 0.001, one job in 100,000 is inside.
_SAMPLES_TRIED = 2_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `dial` becomes `after`; `title` is what the runbook says of it."""

    title: str
    dial: Dial[Any]
    after: bytes

    def done(self, dials: DialValues) -> bool:
        """Whether the dial holds it already; a kill switch is on whatever word says so."""
        value = dials.value(self.dial)
        if self.dial is kill_switch.DIAL and self.after == b"true":
            return kill_switch.DIAL.read(value).value is BrakeState.ENGAGED
        return value == self.after


def steps(policy: bytes, percent: bytes) -> tuple[Step, ...]:
    """Return the steps in the runbook's order, which is the gates'. Only the last lets anything through."""
    given = {allowlist.DIAL: ("set the policy", policy), rollout.DIAL: ("set the percentage", percent)}
    opened = []
    for dial in DIALS:
        title, value = given.get(dial, (f"switch the {dial} on", dial.open_value))
        if value is not None and dial is not kill_switch.DIAL:
            opened.append(Step(title, dial, value))
    return (
        Step("keep the fleet halted", kill_switch.DIAL, b"true"),
        *opened,
        Step("release the kill switch", kill_switch.DIAL, b"false"),
    )


def dials_after(sequence: tuple[Step, ...], dials: DialValues) -> RawControls:
    """Return the raw dials as they would be after all of `sequence`."""
    return {**dials.raw, **{step.dial.name: step.after for step in sequence}}


def sample(raw: RawControls) -> Subject | None:
    """Return a made-up job that `raw` would admit with the kill switch off; None if it admits no job."""
    controls = Controls.parse(raw)
    rules = controls.allowlist.rules if controls.allowlist else ()
    rule = next((each for each in rules if each.enabled and all(each.lists[:-1])), None)
    names = (f"sample-{number}" for number in range(_SAMPLES_TRIED))
    job_id = next((name for name in names if bucket(name) < controls.rollout_thousandths), None)
    if rule is None or job_id is None:
        return None
    subject, level, board, spec_version, kind = map(min, rule.lists[:-1])
    slot_id = min(rule.slot_ids, default="sample")
    return Subject(job_id, slot_id, kind, subject, level, board, spec_version, opted_in=True)
