"""`slotgen resume`: releases the kill switch, or several."""

from pathlib import Path
from typing import Annotated

import typer

from gates import Ceilings, Controls
from gates.kill_switch import DIAL
from tasks.operations.changes.changing import Proposal, Situation
from tasks.operations.timefmt import counted
from worker.cli.support.connection import load_settings
from worker.cli.support.dial_command import By, apply
from worker.cli.support.errors import CliError
from worker.cli.support.options import Actor, AsJson, Each, Override, with_each
from worker.cli.support.release import release_all
from worker.cli.support.several import targets
from worker.cli.support.terminal import answer, shown_text

ORDER = 2


def resume(
    *,
    reason: Annotated[str, typer.Option(help="Why it is safe now; required.", show_default=False)],
    actor: Actor = None,
    override: Override = "",
    each: Each = None,
    as_json: AsJson = False,
) -> None:
    """Release the kill switch, and show what is admitted from now on.

    Whatever was widened while the fleet was halted is judged here, as one change. With --each: all or none.
    """
    if not reason.strip():
        raise CliError('a release needs a reason; say why it is safe now: slotgen resume --reason "…"')
    by = By("slotgen resume", actor, reason.strip(), override)
    if each:
        _release_each(each, by, as_json=as_json)
        return
    apply(DIAL, lambda _: b"false", by, undo=lambda _: "slotgen kill", extra=_admits, as_json=as_json)


def _release_each(each: Path, by: By, *, as_json: bool) -> None:
    released = release_all(targets(each, load_settings), by, _admits)
    rows, lines = [], []
    for name, (checked, recorded) in released.items():
        before = shown_text(recorded.before)
        rows.append({"name": name, "before": before, "after": "'false'", "auditId": recorded.audit_id})
        lines += [f"{name}: {before} -> 'false'", *(f"  {line}" for line in checked.lines)]
    undo = f"slotgen kill{with_each(each)}"
    document = {"released": True, "redis": rows, "undo": undo}
    answer(document, [*lines, f"all {len(rows)} are released", f"undo: {undo}"], as_json=as_json)


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
