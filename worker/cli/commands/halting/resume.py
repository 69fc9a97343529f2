"""`slotgen resume`: releases the kill switch."""

from typing import Annotated

import typer

from gates import Ceilings, Controls
from gates.kill_switch import DIAL
from tasks.operations.changes.changing import Proposal, Situation
from tasks.operations.timefmt import counted
from worker.cli.support.dial_command import By, apply
from worker.cli.support.errors import CliError
from worker.cli.support.options import Actor, AsJson, Override

ORDER = 2


def resume(
    *,
    reason: Annotated[str, typer.Option(help="Why it is safe now; required.", show_default=False)],
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Release the kill switch, and show what is admitted from now on.

    Whatever was widened while the fleet was halted is judged here, as one change.
    """
    if not reason.strip():
        raise CliError('a release needs a reason; say why it is safe now: slotgen resume --reason "…"')
    apply(
        DIAL,
        lambda _: b"false",
        By("slotgen resume", actor, reason.strip(), override),
        undo=lambda _: "slotgen kill",
        extra=_admits,
        as_json=as_json,
    )


def _admits(situation: Situation, proposal: Proposal) -> list[str]:
    """Return what the dials admit, once the kill switch is released."""
    dials = Controls.parse(situation.dials.with_value(proposal.dial, proposal.after), Ceilings())
    policy = dials.allowlist
    rules = "no policy"
    if policy is not None:
        enabled = sum(rule.enabled for rule in policy.rules) if policy.enabled else 0
        rules = f"{counted(enabled, 'rule', of=len(policy.rules))} enabled (policy {dials.policy_hash})"
    feature = "on" if dials.feature_enabled else "off"
    share = f"{dials.rollout_thousandths / 1000:g} % of the jobs that match"
    return [f"admitted from now on: feature {feature}, {rules}, {share}"]
