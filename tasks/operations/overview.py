"""The fleet at one moment: kill switch, dials, workers, queue, outcomes, and what blocks generation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gates import DIALS, GATES, BrakeState, Ceilings, Controls, Dial, Reading, Trouble, allowlist, kill_switch
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.changes.dials import OPERATED, DialValues, RecordedChange, halted_by
from tasks.operations.cooldown import Cooldown
from tasks.operations.fleet import WorkerInfo
from tasks.operations.probes import is_probe
from tasks.operations.timefmt import ago, counted

# What must be open before the kill switch is released.
_OPENED = [dial for dial in DIALS if dial is not kill_switch.DIAL]


@dataclass(frozen=True, slots=True)
class DialLine:
    """One dial: its raw value, its effect under the environment's ceilings, and who set it last."""

    dial: Dial[Any]
    value: bytes | None
    reading: Reading[Any]
    last: RecordedChange | None

    @property
    def effective(self) -> str:
        """The dial's effect, in words."""
        return self.dial.shown(self.reading.value)

    @property
    def malformed(self) -> bool:
        """Whether it holds something it should not."""
        return self.reading.trouble is Trouble.MALFORMED

    @property
    def restricted(self) -> bool:
        """Whether it would be more open without the environment."""
        return self.reading.trouble is Trouble.OVERRULED


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing between now and the first generated job, and the command that clears it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class StrayList:
    """A list with messages for slotgen that no worker takes; `shared` if other applications use it too."""

    name: str
    messages: int
    shared: bool

    def blocker(self, queue: str) -> Blocker:
        """Return what to do about it, so that its messages come to `queue`."""
        name = self.name if self.name.isprintable() else f"$'{self.name.encode('unicode_escape').decode()}'"
        mistake = f'send with queue="{queue}"; no worker takes what lies on the list {name}'
        if self.shared:
            # Nothing moves ours alone.
            return Blocker(
                f"{mistake}, some of it of other applications",
                f'redis-cli -u "$SLOTGEN_REDIS_URL" LRANGE {name} 0 -1',
            )
        move = f'redis-cli -u "$SLOTGEN_REDIS_URL" -r {self.messages} LMOVE {name} {queue} RIGHT LEFT'
        return Blocker(f"{mistake}: {self.messages} for slotgen; then move it", move)


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `slotgen status` shows, as read at one moment.

    `audit` is newest first; `dead_reasons` counts the newest 100 dead letters. `oldest_seconds` is None where
    it is not known yet. From `dead_letters_filled` of 1.0 on the oldest dead letters are dropped. Whatever
    only the `wrong_keys` could tell, which hold something unreadable, is None or empty.
    """

    values: DialValues
    ceilings: Ceilings
    audit: Sequence[RecordedChange]
    workers: Sequence[WorkerInfo]
    past: Sequence[OutcomeRecord]
    queue_depth: int | None
    oldest_seconds: float | None
    dead_letters: int | None
    queue: str
    strays: Sequence[StrayList]
    dead_letters_filled: float
    now_wall_ms: int
    since_seconds: int
    dead_reasons: Mapping[str, int] = field(default_factory=dict)
    wrong_keys: Sequence[Blocker] = ()
    cooldowns: Sequence[Cooldown] = ()

    @property
    def controls(self) -> Controls:
        """The dials as a worker of this environment reads them."""
        return Controls.parse(self.values.raw, self.ceilings)

    @property
    def living(self) -> list[WorkerInfo]:
        """The workers that are not silent: what silent ones last reported is out of date."""
        return [each for each in self.workers if each.silent_seconds is None]

    @property
    def latched(self) -> list[WorkerInfo]:
        """The workers halted by a message although the kill switch would let them go on."""
        released = self.controls.brake is BrakeState.RELEASED
        return [each for each in self.living if each.latched] if released else []

    @property
    def state(self) -> BrakeState:
        """The worst of what is so: a message may have halted some workers over a dial that says false."""
        return BrakeState.ENGAGED if self.latched else self.controls.brake

    @property
    def why(self) -> str:
        """Why the fleet is halted or not, and if recorded, who halted it and why."""
        last = self._last(kill_switch.DIAL)
        if last is None or last.after != self.values.value(kill_switch.DIAL):
            return self._brake
        # Whoever halts again changes nothing: the first one says when it began, and why.
        by = halted_by(self.audit) or last
        since = ago(self.now_wall_ms - by.wall_ms)
        return f"{self._brake}; {by.who}, {since}{f': {by.reason}' if by.reason else ''}"

    @property
    def dials(self) -> tuple[DialLine, ...]:
        """Every dial that an operator sets."""
        readings = {gate.dial: self.controls.of(gate) for gate in GATES}
        return tuple(
            DialLine(dial, value, readings.get(dial) or dial.read(value), self._last(dial))
            for dial, value in ((dial, self.values.value(dial)) for dial in OPERATED)
        )

    @property
    def real(self) -> list[OutcomeRecord]:
        """The outcomes of producers' jobs, without those that `preflight` and `drill` have sent."""
        return [each for each in self.past if not is_probe(each.subject)]

    @property
    def outcomes(self) -> list[tuple[tuple[str, str], int]]:
        """How many of them have a status and errorCode ("" when COMPLETED), the most frequent first."""
        return Counter((each.status, each.error_code or "") for each in self.real).most_common()

    @property
    def counts(self) -> str:
        """What the outcomes count, in words: a job that is sent again has one more."""
        jobs = len({each.subject.job_id for each in self.real})
        probes = len(self.past) - len(self.real)
        beside = f" (and {counted(probes, 'probe')})" if probes else ""
        return f"{counted(len(self.real), 'outcome')} of {counted(jobs, 'distinct job')}{beside}"

    @property
    def disagreements(self) -> list[str]:
        """How the workers differ from each other, and from the policy in force."""
        found = []
        for what, values in (
            ("versions", {each.version for each in self.living}),
            ("executor versions", {each.executor_version for each in self.living}),
        ):
            if len(values) > 1:
                found.append(f"the workers have different {what}: {', '.join(sorted(values))}")
        policy = self.controls.policy_hash
        return found + [
            f"worker {each.name} saw {_policy(each.policy_hash)} last, not {policy or 'none'}"
            for each in self.living
            if each.policy_hash != policy
        ]

    @property
    def model_problems(self) -> list[str]:
        """What is wrong with the workers' models, or soon will be."""
        return sorted({said for each in self.living if (said := each.listing.problem(self.now_wall_ms))})

    @property
    def blockers(self) -> list[Blocker]:
        """What blocks generation, in the order in which to clear it."""
        silent = f", and {len(self.workers)} silent" if self.workers else ""
        found = [] if self.living else [Blocker(f"no worker is running{silent}", "slotgen worker")]
        for line in self.dials:
            if line.dial not in _OPENED or line.dial.openness(line.reading.value):
                continue
            usable = line.dial is allowlist.DIAL and line.reading.value is not None
            command = "slotgen allowlist enable" if usable else line.dial.command
            trouble = line.reading.trouble or f"is {'disabled' if usable else line.effective}"
            found.append(Blocker(f"{line.dial} denies every job: the dial {trouble}", command))
        found += [each.blocker(self.queue) for each in self.strays]
        found += [Blocker(str(each), each.command) for each in self.cooldowns]
        if self.controls.brake is not BrakeState.RELEASED:
            # Last, as in the runbook: everything else is set while the fleet is halted.
            found.append(Blocker(f"the fleet is halted: {self._brake}", kill_switch.DIAL.command))
        if self.latched:
            number = counted(len(self.latched), "worker", of=len(self.living))
            found.append(Blocker(f"a message has halted {number}", kill_switch.DIAL.command))
        return found

    @property
    def _brake(self) -> str:
        released = self.controls.brake is BrakeState.RELEASED
        if self.latched:
            halted = counted(len(self.latched), "worker", of=len(self.living))
            return f"a message has halted {halted}; the kill dial is false"
        state = "is false" if released else self.controls.of(kill_switch.GATE).trouble or "is on"
        return f"the kill dial {state}"

    def _last(self, dial: Dial[Any]) -> RecordedChange | None:
        return next((each for each in self.audit if each.dial == dial.name), None)


def _policy(policy_hash: str | None) -> str:
    return f"policy {policy_hash}" if policy_hash else "no policy"
