"""The feature flag."""

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Dial, Gate, Reading
from gates.subject import Subject


class FeatureReason(Reason):
    """The feature is off."""

    FEATURE_DISABLED = (
        "FEATURE_DISABLED",
        "the feature flag is not exactly `true`",
        "`SET slotgen:feature true`",
    )


NAME = "feature"
_ON = admit(NAME, "the feature is on")


def check(subject: Subject, dial: Reading[bool]) -> Decision:
    """Admit only if the feature is on."""
    del subject  # the flag asks nothing of a job
    if dial.value:
        return _ON
    return deny(NAME, FeatureReason.FEATURE_DISABLED, f"the feature dial {dial.trouble or 'is false'}")


DIAL = Dial(
    name="feature",
    parse={b"true": True, b"false": False}.get,
    shut=False,
    malformed=False,
    openness=float,
    shown=lambda enabled: "on" if enabled else "off",
    opens_when="exactly `true`",
    otherwise="off",
    remedy="set true or false",
    command="slotgen feature on",
    open_value=b"true",
    variable="FEATURE_SLOTGEN_AI",
)
GATE = Gate(NAME, "the feature is on", FeatureReason, check, DIAL, asks_job=False)
