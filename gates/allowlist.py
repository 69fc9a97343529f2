"""Gate 4: the policy of what may be generated at all."""

from __future__ import annotations

from gates.controls import Controls
from gates.decision import Decision, Gate, Reason, admit, deny
from gates.policy import Rule
from gates.subject import Subject


def check(subject: Subject, controls: Controls) -> Decision:
    """Let through only what an enabled rule of a valid, enabled allowlist names."""
    if controls.allowlist is None:
        malformed = "allowlist" in controls.malformed
        state = "is not a valid allowlist v1" if malformed else "is absent"
        return deny(Gate.ALLOWLIST, Reason.NOT_ALLOWLISTED, f"the allowlist {state}")
    if not controls.allowlist.enabled:
        return deny(Gate.ALLOWLIST, Reason.NOT_ALLOWLISTED, "the allowlist is disabled")
    rule = matching_rule(subject, controls)
    if rule is None:
        return deny(Gate.ALLOWLIST, Reason.NOT_ALLOWLISTED, "no enabled rule matches")
    return admit(Gate.ALLOWLIST, f"rule {rule.id} matches")


def matching_rule(subject: Subject, controls: Controls) -> Rule | None:
    """Return the rule that admits `subject`, or None when none does."""
    policy = controls.allowlist
    return policy.first_match(subject) if policy is not None and policy.enabled else None
