"""Gate 1: the emergency brake, which dominates everything."""

from gates.controls import BrakeState, Controls
from gates.decision import Decision, Gate, Reason, admit, deny
from gates.subject import Subject

# Looking a member up in its enum takes as long as the rest of this gate.
_RELEASED = BrakeState.RELEASED
_OFF = admit(Gate.KILL, "the brake is off")


def check(subject: Subject, controls: Controls) -> Decision:
    """Let through only when the brake is known to be off."""
    del subject  # the brake asks nothing of a job
    if controls.brake is _RELEASED:
        return _OFF
    if controls.brake is BrakeState.ENGAGED:
        trouble = controls.trouble("kill")
        detail = f"the brake is on: the kill dial {trouble}" if trouble else "the brake is on"
        return deny(Gate.KILL, Reason.KILL_SWITCH, detail)
    return deny(Gate.KILL, Reason.KILL_UNVERIFIED, controls.note or "the kill dial is absent")
