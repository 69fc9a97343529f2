"""The kill switch: it dominates every other gate."""

from enum import StrEnum

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Dial, Gate, Reading
from gates.subject import Subject


class BrakeState(StrEnum):
    """The emergency stop: only RELEASED lets anything through."""

    RELEASED = "released"
    ENGAGED = "engaged"
    UNVERIFIED = "unverified"


class KillReason(Reason):
    """The kill switch is on, or could not be read."""

    KILL_SWITCH = (
        "KILL_SWITCH",
        "the kill switch is on, or came on while the call was in flight",
        "release it when it is safe",
    )
    KILL_UNVERIFIED = (
        "KILL_UNVERIFIED",
        "the kill switch could not be read: key absent, Redis down, slow, or the wrong type",
        "set the key; look at Redis",
    )


NAME = "kill"
# Looking a member up in its enum takes as long as the rest of this gate.
_RELEASED = BrakeState.RELEASED
_OFF = admit(NAME, "the kill switch is off")
_WORDS = {b"false": BrakeState.RELEASED, b"true": BrakeState.ENGAGED, b"1": BrakeState.ENGAGED}


def parse(raw: bytes) -> BrakeState | None:
    """Return the meaning of a word the dial knows, ignoring ASCII blanks and case; None for any other."""
    return _WORDS.get(raw.strip().lower())


def check(subject: Subject, dial: Reading[BrakeState]) -> Decision:
    """Admit only if the kill switch is known to be off."""
    del subject  # the kill switch asks nothing of a job
    if dial.value is _RELEASED:
        return _OFF
    if dial.value is BrakeState.ENGAGED:
        because = f": the kill dial {dial.trouble}" if dial.trouble else ""
        return deny(NAME, KillReason.KILL_SWITCH, f"the kill switch is on{because}")
    return deny(NAME, KillReason.KILL_UNVERIFIED, dial.note or "the kill dial is absent")


def _strictest(dial: BrakeState, variable: BrakeState) -> BrakeState:
    # A variable that says `false` restricts nothing, and is no substitute for an absent key either.
    return BrakeState.ENGAGED if variable is BrakeState.ENGAGED else dial


DIAL = Dial(
    name="kill",
    parse=parse,
    shut=BrakeState.UNVERIFIED,
    # In an emergency, a typing error must not leave it off.
    malformed=BrakeState.ENGAGED,
    openness=lambda state: state is _RELEASED,
    shown=lambda state: "released" if state is _RELEASED else "halted",
    opens_when="exactly `false` (case and blanks ignored)",
    otherwise="halted",
    remedy="set true, 1 or false",
    command='slotgen resume --reason "…"',
    open_value=b"false",
    variable="SLOTGEN_AI_KILL",
    strictest=_strictest,
)
GATE = Gate(NAME, "the kill switch is known to be off", KillReason, check, DIAL, asks_job=False)
