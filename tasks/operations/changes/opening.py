"""The runbook's safe enable sequence: the brake on, then feature, policy and percentage, the release last."""

from dataclasses import dataclass
from itertools import count, islice

from gates import AllowRule, BrakeState, Ceilings, Controls, Decision, RawControls, Subject, bucket, explain
from tasks.operations.changes.dials import Dial, DialValues

# At the smallest percentage, 0.001, one job in 100,000 is inside.
_SAMPLES_TRIED = 2_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `dial` becomes `after`; `title` is what the runbook says of it."""

    title: str
    dial: Dial
    after: bytes

    def done(self, dials: DialValues) -> bool:
        """Whether the dial holds it already; a brake that is on in other words is on."""
        if self.dial is Dial.KILL and self.after == b"true":
            return _parsed(dials.raw).brake is BrakeState.ENGAGED
        return dials.value(self.dial) == self.after


def steps(policy: bytes, percent: bytes) -> tuple[Step, ...]:
    """Return the steps in the runbook's order. Until the last one nothing can be generated."""
    return (
        Step("keep the brake on", Dial.KILL, b"true"),
        Step("switch the feature on", Dial.FEATURE, b"true"),
        Step("set the policy", Dial.ALLOWLIST, policy),
        Step("set the percentage", Dial.ROLLOUT_PERCENT, percent),
        Step("release the brake", Dial.KILL, b"false"),
    )


def dials_after(sequence: tuple[Step, ...], dials: DialValues) -> RawControls:
    """Return the raw dials as they would be after all of `sequence`."""
    raw = dials.raw
    for step in sequence:
        raw = DialValues(raw, dials.version).with_value(step.dial, step.after)
    return raw


def sample(raw: RawControls) -> Subject | None:
    """Return a made-up job that `raw` would admit were the brake off; None where it admits nobody."""
    controls = _parsed(raw)
    policy = controls.allowlist
    rule = next((each for each in policy.rules if _matchable(each)), None) if policy else None
    if rule is None:
        return None
    names = (f"sample-{number}" for number in count())
    inside = (name for name in islice(names, _SAMPLES_TRIED) if bucket(name) < controls.rollout_thousandths)
    job_id = next(inside, None)
    return None if job_id is None else _subject(job_id, rule)


def verdicts(subject: Subject, raw: RawControls) -> tuple[Decision, ...]:
    """Return every gate's answer to `subject` under `raw`."""
    return explain(subject, _parsed(raw))


def _matchable(rule: AllowRule) -> bool:
    lists = (rule.subjects, rule.levels, rule.boards, rule.spec_versions, rule.kinds)
    return rule.enabled and all(lists)


def _subject(job_id: str, rule: AllowRule) -> Subject:
    return Subject(
        job_id=job_id,
        slot_id=min(rule.slot_ids, default="sample"),
        kind=min(rule.kinds),
        subject=min(rule.subjects),
        level=min(rule.levels),
        board=min(rule.boards),
        spec_version=min(rule.spec_versions),
        opted_in=True,
    )


def _parsed(raw: RawControls) -> Controls:
    return Controls.parse(raw, Ceilings())
