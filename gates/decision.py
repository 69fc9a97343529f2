"""What a gate answers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why a gate said no. Each gate has its own reasons; their words are the metric label and the errorCode.

    `when` and `remedy` are its cells in the tables of the docs.
    """

    when: str
    remedy: str

    def __new__(cls, word: str, when: str, remedy: str) -> Self:
        """Return the member that is `word`."""
        reason = str.__new__(cls, word)
        reason._value_, reason.when, reason.remedy = word, when, remedy
        return reason


@dataclass(frozen=True, slots=True)
class Decision:
    """One gate's answer; `reason` is None exactly if it is a yes, `detail` is a sentence."""

    allowed: bool
    gate: str
    reason: Reason | None
    detail: str


def admit(gate: str, detail: str) -> Decision:
    """Return a yes."""
    return Decision(allowed=True, gate=gate, reason=None, detail=detail)


def deny(gate: str, reason: Reason, detail: str) -> Decision:
    """Return a no."""
    return Decision(allowed=False, gate=gate, reason=reason, detail=detail)
