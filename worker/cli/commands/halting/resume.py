"""`slotgen resume`: releases the brake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, apply, shown_text
from worker.cli.support.errors import CliError

if TYPE_CHECKING:
    from tasks.operations.changes.changing import Proposal, Situation

ORDER = 2


def resume(
    *,
    reason: Annotated[str, typer.Option(help="Why it is safe now; required.", show_default=False)],
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Release the brake, and show what is admitted from now on.

    What was widened while the brake was on is judged here, as one change.
    """
    from gates.kill_switch import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    if not reason.strip():
        raise CliError('a release needs a reason; say why it is safe now: slotgen resume --reason "…"')
    wish = DialCommand(
        dial=DIAL,
        after=lambda _: b"false",
        undo=lambda _: "slotgen kill",
        shown=shown_text,
        command="slotgen resume",
        reason=reason.strip(),
        actor=actor,
        override=override,
    )
    apply(wish, as_json=as_json, extra=_admits)


def _admits(situation: Situation, proposal: Proposal) -> list[str]:
    """Return what the dials admit, now that the brake is off."""
    from gates import Ceilings, Controls  # noqa: PLC0415 - heavy imports wait for the command

    raw = situation.dials.with_value(proposal.dial, proposal.after)
    dials = Controls.parse(raw, Ceilings())
    policy = dials.allowlist
    rules = "no policy"
    if policy is not None:
        enabled = sum(rule.enabled for rule in policy.rules) if policy.enabled else 0
        rules = f"{enabled} of {len(policy.rules)} rules enabled (policy {dials.policy_hash})"
    feature = "on" if dials.feature_enabled else "off"
    share = f"{dials.rollout_thousandths / 1000:g} % of the jobs that match"
    return [f"admitted from now on: feature {feature}, {rules}, {share}"]
