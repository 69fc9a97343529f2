"""Gate 2: the feature flag."""

from __future__ import annotations

from gates.controls import Controls
from gates.decision import Decision, Gate, Reason, admit, deny
from gates.subject import Subject


def check(subject: Subject, controls: Controls) -> Decision:
    """Let through only when the feature is on."""
    del subject  # the flag asks nothing of a job
    if controls.feature_enabled:
        return admit(Gate.FEATURE, "the feature is on")
    return deny(Gate.FEATURE, Reason.FEATURE_DISABLED, "the feature dial is not exactly true")
