"""Asks the gates."""

from gates.controls import Controls
from gates.decision import Decision
from gates.rule import AllowRule
from gates.subject import Subject


def evaluate(subject: Subject, controls: Controls) -> Decision:
    """Return the first no, or the last gate's yes."""
    for check, reading in controls.undecided:
        decision = check(subject, reading)
        if not decision.allowed:
            break
    return decision


def explain(subject: Subject, controls: Controls) -> tuple[Decision, ...]:
    """Return every gate's answer, in order."""
    return tuple(check(subject, reading) for check, reading in controls.asked)


def matching_rule(subject: Subject, controls: Controls) -> AllowRule | None:
    """Return the rule that admits `subject`, or None when none does."""
    policy = controls.allowlist
    return policy.first_match(subject) if policy is not None and policy.enabled else None
