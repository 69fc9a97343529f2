"""What a gate answers."""

from dataclasses import dataclass
from enum import StrEnum


class Gate(StrEnum):
    """The five gates; the order is `pipeline.GATES`."""

    KILL = "kill"
    FEATURE = "feature"
    OPT_IN = "opt_in"
    ALLOWLIST = "allowlist"
    ROLLOUT = "rollout"


class Reason(StrEnum):
    """Why a gate said no; its words are the metric label, the telemetry errorCode and the CLI's word."""

    KILL_SWITCH = "KILL_SWITCH"
    KILL_UNVERIFIED = "KILL_UNVERIFIED"
    FEATURE_DISABLED = "FEATURE_DISABLED"
    NOT_OPTED_IN = "NOT_OPTED_IN"
    NOT_ALLOWLISTED = "NOT_ALLOWLISTED"
    ROLLOUT_EXCLUDED = "ROLLOUT_EXCLUDED"


@dataclass(frozen=True, slots=True)
class Decision:
    """One gate's answer; `reason` is None exactly when it is a yes. `detail` is a short sentence."""

    allowed: bool
    gate: Gate
    reason: Reason | None
    detail: str


def admit(gate: Gate, detail: str) -> Decision:
    """Return a yes."""
    return Decision(allowed=True, gate=gate, reason=None, detail=detail)


def deny(gate: Gate, reason: Reason, detail: str) -> Decision:
    """Return a no."""
    return Decision(allowed=False, gate=gate, reason=reason, detail=detail)
