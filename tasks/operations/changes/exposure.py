"""The dimensions along which generation is opened, and which of them a change widens."""

from typing import Any

from gates import GATES, BrakeState, Dial, RawControls, allowlist, kill_switch
from tasks.operations.changes import spend_cap
from tasks.operations.policy_diff.comparison import is_broader

_BY_GATES = {
    gate.name: gate.dial for gate in GATES if gate.dial is not None and gate.dial is not kill_switch.DIAL
}
# What the runbook lets an operator widen one at a time.
DIMENSIONS: dict[str, Dial[Any]] = _BY_GATES | {"budget": spend_cap.DIAL}


def named(dimension: str) -> str:
    """Return a dimension's name for people."""
    return dimension.replace("_", " ")


def widened(before: RawControls, after: RawControls) -> tuple[str, ...]:
    """Return the dimensions that are wider in `after`, each judged on its own, whatever the others admit."""
    return tuple(name for name, dial in DIMENSIONS.items() if _is_wider(dial, before, after))


def is_live(raw: RawControls) -> bool:
    """Whether anything can be admitted: the kill switch is off, and every gate lets something through."""
    released = kill_switch.DIAL.read(raw.get(kill_switch.DIAL.name)).value is BrakeState.RELEASED
    return released and all(_is_wider(dial, {}, raw) for dial in _BY_GATES.values())


def _is_wider(dial: Dial[Any], before: RawControls, after: RawControls) -> bool:
    if before.get(dial.name) == after.get(dial.name):
        return False
    # Without ceilings: those of the operator's shell say nothing about the workers'.
    was, will_be = (dial.read(raw.get(dial.name)).value for raw in (before, after))
    if dial is allowlist.DIAL:
        return is_broader(was, will_be)
    return dial.openness(will_be) > dial.openness(was)
