"""The order of the gates, once."""

from gates import allowlist, feature_flag, kill_switch, opt_in, rollout
from gates.controls import Controls
from gates.decision import Decision
from gates.subject import Subject

GATES = (kill_switch.check, feature_flag.check, opt_in.check, allowlist.check, rollout.check)


def evaluate(subject: Subject, controls: Controls) -> Decision:
    """Return the first no, or the last gate's yes."""
    for check in GATES:
        decision = check(subject, controls)
        if not decision.allowed:
            break
    return decision


def explain(subject: Subject, controls: Controls) -> tuple[Decision, ...]:
    """Return every gate's answer, in order."""
    return tuple(check(subject, controls) for check in GATES)
