"""Pure decisions: may this job reach the model? Values in, a Decision out; CONTRACT.md is the contract."""

from gates.controls import Ceilings, Controls, RawControls
from gates.decision import Decision, Reason
from gates.evaluation import evaluate, explain, matching_rule
from gates.gate import Dial, Gate, Reading, Trouble
from gates.kill_switch import BrakeState
from gates.pipeline import DIALS, GATES, REASONS
from gates.policy import Allowlist
from gates.rollout import bucket
from gates.rule import AllowRule
from gates.subject import Subject

__all__ = [
    "DIALS",
    "GATES",
    "REASONS",
    "AllowRule",
    "Allowlist",
    "BrakeState",
    "Ceilings",
    "Controls",
    "Decision",
    "Dial",
    "Gate",
    "RawControls",
    "Reading",
    "Reason",
    "Subject",
    "Trouble",
    "bucket",
    "evaluate",
    "explain",
    "matching_rule",
]
