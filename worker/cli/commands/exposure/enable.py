"""`slotgen enable`: the runbook's safe sequence, step by step, with the fleet halted until the last."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gates import Controls, RawControls, Subject, explain, kill_switch
from gates import allowlist as policy_gate
from tasks.operations.changes import opening
from tasks.operations.changes.changing import permission_to_release
from tasks.operations.changes.dials import DialValues
from tasks.operations.changes.opening import Step
from worker.cli.support.dial_command import By, change, percentage, silences
from worker.cli.support.documents import described, read_valid, switched
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import Actor, AsJson, Override, named
from worker.cli.support.terminal import answer, say, shown_text

ORDER = 2


def enable(
    *,
    allowlist: Annotated[
        str, typer.Option(help="The policy to set; choose the smallest that makes sense.", metavar="FILE")
    ],
    percent: Annotated[
        str,
        typer.Option(help="The percentage to start with, such as 1.", metavar="PERCENT", callback=percentage),
    ],
    reason: Annotated[str, typer.Option(help="Why it is safe; required for the release.")] = "",
    actor: Actor = None,
    override: Override = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the steps without changing anything.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open generation in the runbook's order; the fleet stays halted until the last step.

    Stops at the first problem, with the fleet still halted. Run it again to continue.
    """
    if not dry_run and not reason.strip():
        raise CliError(
            'the release at the end needs a reason; add --reason "…", or look first with --dry-run'
        )
    policy = _enabled(read_valid(allowlist, "allowlist.v1", "nothing was changed"))
    sequence = opening.steps(policy, percent.encode())
    with open_session() as session:
        situation = session.situation()
        target = opening.dials_after(sequence, situation.dials)
        permission = permission_to_release(situation, target)
        if not permission.allowed and not override:
            raise CliError(f"{permission.sentence}\nnothing was changed")
        subject = opening.sample(target)
        if subject is None:
            raise CliError("these would admit no job: no enabled rule can match, or the percentage is 0")
        by = By("slotgen enable", actor, reason.strip(), override)
        walk = _Walk(session, by, subject, dry_run)
        steps = []
        for number, step in enumerate(sequence, 1):
            steps.append({"step": number} | walk.take(step))
            if not as_json:
                say(*_lines(steps[-1]))
        silent = silences(session)
    end = "nothing was changed" if dry_run else "open. undo: slotgen kill; watch: slotgen status --watch"
    document = {"dryRun": dry_run, "steps": steps, "silentWorkers": silent}
    answer(document, [*silent, end], as_json=as_json)


def _enabled(policy: bytes) -> bytes:
    """Return the policy with `enabled: true`, unchanged if it already has that."""
    return policy if json.loads(policy)["enabled"] else switched(policy, enabled=True)


@dataclass(slots=True)
class _Walk:
    """Takes the steps one by one and checks after each; a dry run only pretends."""

    session: OperatorSession
    by: By
    subject: Subject
    dry_run: bool
    _raw: RawControls | None = None

    def take(self, step: Step) -> dict[str, Any]:
        """Take one step, or show it. Raises CliError, the fleet still halted."""
        dials = self.session.dials.read()
        if self.dry_run and self._raw:
            dials = dataclasses.replace(dials, raw=self._raw)
        done = step.done(dials)
        if not done and not self.dry_run:
            self._change(step, dials)
        self._raw = dials.with_value(step.dial, step.after) if self.dry_run else self._read_back(step)
        shown = described if step.dial is policy_gate.DIAL else shown_text
        gates = explain(self.subject, Controls.parse(self._raw))
        return {
            "title": step.title,
            "dial": step.dial.name,
            "before": shown(dials.value(step.dial)),
            "after": shown(step.after),
            "alreadySo": done,
            "sampleJob": {each.gate: each.reason.value if each.reason else "yes" for each in gates},
        }

    def _change(self, step: Step, dials: DialValues) -> None:
        if step.dial is kill_switch.DIAL and step.after == b"true":
            self.session.dials.engage(named(self.by.actor), self.by.command, self.by.reason)
            return
        refused = f"the fleet is halted; {step.dial} was {shown_text(dials.value(step.dial))}"
        change(self.session, self.session.situation(), step.dial, step.after, self.by, refused=refused)

    def _read_back(self, step: Step) -> RawControls:
        dials = self.session.dials.read()
        if not step.done(dials):
            raise CliError(
                f"{step.dial} is {shown_text(dials.value(step.dial))} right after it was set: someone else "
                "is changing dials. See `slotgen audit`, then run this again"
            )
        return dials.raw


def _lines(step: dict[str, Any]) -> tuple[str, str]:
    words = "already so" if step["alreadySo"] else f"{step['before']} -> {step['after']}"
    refusing = [gate for gate, word in step["sampleJob"].items() if word != "yes"]
    gates = f"refused by {', '.join(refusing)}; passes the rest" if refusing else "passes every gate"
    return f"{step['step']}. {step['title']}: {words}", f"   a sample job: {gates}"
