"""The dimensions along which generation is opened, and which of them a change widens."""

from enum import StrEnum

from gates import Allowlist, Controls
from tasks.operations.policy_diff.comparison import is_broader


class Dimension(StrEnum):
    """What the runbook lets an operator widen one at a time."""

    FEATURE = "feature"
    ALLOWLIST = "allowlist"
    ROLLOUT = "rollout"
    BUDGET = "budget"


def widened(before: Controls, after: Controls) -> tuple[Dimension, ...]:
    """Return the dimensions that are wider in `after`, each by itself, whatever the others let pass."""
    wider = {
        Dimension.FEATURE: after.feature_enabled and not before.feature_enabled,
        Dimension.ALLOWLIST: is_broader(before.allowlist, after.allowlist),
        Dimension.ROLLOUT: after.rollout_thousandths > before.rollout_thousandths,
    }
    return tuple(dimension for dimension, is_so in wider.items() if is_so)


def opens(controls: Controls) -> bool:
    """Whether anything could be admitted, were the brake off."""
    return controls.feature_enabled and controls.rollout_thousandths > 0 and _admits(controls.allowlist)


def _admits(policy: Allowlist | None) -> bool:
    return is_broader(None, policy)
