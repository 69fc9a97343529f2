"""Gate 2: the feature flag."""

from gates.controls import Controls
from gates.decision import Decision, Gate, Reason, admit, deny
from gates.subject import Subject

_ON = admit(Gate.FEATURE, "the feature is on")


def check(subject: Subject, controls: Controls) -> Decision:
    """Let through only when the feature is on."""
    del subject  # the flag asks nothing of a job
    if controls.feature_enabled:
        return _ON
    state = controls.trouble("feature") or "is false"
    return deny(Gate.FEATURE, Reason.FEATURE_DISABLED, f"the feature dial {state}")
