"""The gates in order, listed once: everything about gates, reasons or dials derives from this list."""

from typing import Any

from gates import allowlist, feature_flag, kill_switch, opt_in, rollout
from gates.decision import Reason
from gates.gate import Dial, Gate

GATES: tuple[Gate[Any], ...] = (
    kill_switch.GATE,
    feature_flag.GATE,
    opt_in.GATE,
    allowlist.GATE,
    rollout.GATE,
)
DIALS: tuple[Dial[Any], ...] = tuple(gate.dial for gate in GATES if gate.dial)
REASONS: tuple[Reason, ...] = tuple(reason for gate in GATES for reason in gate.reasons)
