"""`slotgen enable`: the runbook's safe sequence, step by step, with the brake on until the last."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.commands.exposure import allowlist as policies
from worker.cli.commands.exposure.rollout import percentage
from worker.cli.support.actor import Actor, named
from worker.cli.support.dial_command import AsJson, Override, shown_text
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console

if TYPE_CHECKING:
    from gates import Decision, RawControls
    from tasks.operations.changes.changing import Situation
    from tasks.operations.changes.dials import DialValues
    from tasks.operations.changes.opening import Step
    from worker.cli.support.operator_session import OperatorSession

ORDER = 2


def enable(
    *,
    allowlist: Annotated[
        str, typer.Option(help="The policy to set, the smallest that makes sense.", metavar="FILE")
    ],
    percent: Annotated[
        str, typer.Option(help="The share to begin with, such as 1.", metavar="PERCENT", callback=percentage)
    ],
    reason: Annotated[str, typer.Option(help="Why it is safe; needed for the release.")] = "",
    actor: Actor = None,
    override: Override = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the steps, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open generation in the runbook's order; the brake is on until the last step.

    Stops at the first thing that is not as it should be, with the brake on. Run it again to go on.
    """
    from tasks.operations.changes import changing, opening  # noqa: PLC0415 - heavy imports wait for the command

    if not dry_run and not reason.strip():
        raise CliError(
            'the release at the end needs a reason; add --reason "…", or look first with --dry-run'
        )
    policy = _enabled(policies.read_valid(allowlist))
    sequence = opening.steps(policy, percent.encode())
    with console() as opened:
        situation = changing.situation_now(opened.dials, opened.history, opened.settings.observation_seconds)
        target = opening.dials_after(sequence, situation.dials)
        _refuse_two_dimensions(situation, target, override)
        subject = opening.sample(target)
        if subject is None:
            raise CliError("these would admit nobody: no enabled rule can match, or the percentage is 0")
        walk = _Walk(opened, named(actor), reason.strip(), override, subject, quiet=as_json, dry_run=dry_run)
        for step in sequence:
            walk.take(step)
    if as_json:
        print_json({"dryRun": dry_run, "steps": walk.told})
    else:
        typer.echo(
            "nothing was changed" if dry_run else "open. undo: slotgen kill; watch: slotgen status --watch"
        )


@dataclass(slots=True)
class _Walk:
    """Takes the steps one by one, and checks after each."""

    console: OperatorSession
    actor: str
    reason: str
    override: str
    subject: Any
    quiet: bool
    dry_run: bool
    told: list[dict[str, Any]] = field(default_factory=list)
    _raw: RawControls | None = None

    def take(self, step: Step) -> None:
        """Take one step, or show it. Raises Refusal, with the brake on."""
        dials = self._now()
        done = step.done(dials)
        if not done and not self.dry_run:
            self._change(step, dials)
        self._raw = dials.with_value(step.dial, step.after) if self.dry_run else self._read_back(step)
        self._tell(step, dials, done=done)

    def _change(self, step: Step, dials: DialValues) -> None:
        from gates import kill_switch  # noqa: PLC0415 - heavy imports wait for the command
        from tasks.operations.changes import changing  # noqa: PLC0415

        command = "slotgen enable"
        if step.dial is kill_switch.DIAL and step.after == b"true":
            self.console.dials.engage(self.actor, command, self.reason)
            return
        situation = changing.situation_now(
            self.console.dials, self.console.history, self.console.settings.observation_seconds
        )
        proposal = changing.propose(situation, step.dial, step.after)
        try:
            changing.make(
                self.console.dials,
                situation,
                proposal,
                actor=self.actor,
                command=command,
                reason=self.reason,
                override=self.override,
            )
        except changing.ChangeRefused as refused:
            raise CliError(
                f"{refused}\nthe brake is on; {step.dial} was {shown_text(dials.value(step.dial))}"
            ) from None

    def _now(self) -> DialValues:
        """Return the dials as they are; in a dry run, as they would be after the steps so far."""
        dials = self.console.dials.read()
        return dataclasses.replace(dials, raw=self._raw) if self.dry_run and self._raw else dials

    def _read_back(self, step: Step) -> RawControls:
        dials = self.console.dials.read()
        if not step.done(dials):
            raise CliError(
                f"{step.dial} is {shown_text(dials.value(step.dial))} right after it was set: somebody else "
                "is changing dials. See `slotgen audit`, then run this again"
            )
        return dials.raw

    def _tell(self, step: Step, dials: DialValues, *, done: bool) -> None:
        from tasks.operations.changes.opening import verdicts  # noqa: PLC0415 - heavy imports wait for the command

        assert self._raw is not None
        gates = verdicts(self.subject, self._raw)
        number = len(self.told) + 1
        self.told.append(_document(number, step, dials, gates, done=done))
        if not self.quiet:
            typer.echo("\n".join(_lines(self.told[-1])))


def _document(
    number: int, step: Step, dials: DialValues, gates: tuple[Decision, ...], *, done: bool
) -> dict[str, Any]:
    from gates import allowlist  # noqa: PLC0415 - heavy imports wait for the command

    shown = policies.described if step.dial is allowlist.DIAL else shown_text
    return {
        "step": number,
        "title": step.title,
        "dial": step.dial.name,
        "before": shown(dials.value(step.dial)),
        "after": shown(step.after),
        "alreadySo": done,
        "sampleJob": {each.gate: each.reason.value if each.reason else "yes" for each in gates},
    }


def _lines(told: dict[str, Any]) -> list[str]:
    change = "already so" if told["alreadySo"] else f"{told['before']} -> {told['after']}"
    gates = ", ".join(f"{gate} {word}" for gate, word in told["sampleJob"].items())
    return [f"{told['step']}. {told['title']}: {change}", f"   a sample job: {gates}"]


def _enabled(policy: bytes) -> bytes:
    """Return the policy with `enabled: true`, byte for byte when it has that already."""
    document = json.loads(policy)
    return policy if document["enabled"] else json.dumps(document | {"enabled": True}, indent=2).encode()


def _refuse_two_dimensions(situation: Situation, target: RawControls, override: str) -> None:
    from tasks.operations.changes.changing import judge_release  # noqa: PLC0415 - heavy imports wait for the command

    verdict = judge_release(situation, target)
    if not verdict.allowed and not override:
        raise CliError(f"{verdict.sentence}\nnothing was changed")
