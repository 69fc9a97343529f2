"""Pure decisions: may this job reach the model? Values in, a Decision out; CONTRACT.md is the agreement."""

from gates.allowlist import matching_rule
from gates.ceilings import Ceilings
from gates.controls import BrakeState, Controls, RawControls
from gates.decision import Decision, Gate, Reason
from gates.pipeline import evaluate, explain
from gates.policy import Allowlist
from gates.rollout import bucket
from gates.rule import AllowRule
from gates.subject import Subject

__all__ = [
    "AllowRule",
    "Allowlist",
    "BrakeState",
    "Ceilings",
    "Controls",
    "Decision",
    "Gate",
    "RawControls",
    "Reason",
    "Subject",
    "bucket",
    "evaluate",
    "explain",
    "matching_rule",
]
