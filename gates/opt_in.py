"""Gate 3: the job's own consent."""

from gates.controls import Controls
from gates.decision import Decision, Gate, Reason, admit, deny
from gates.subject import Subject

_YES = admit(Gate.OPT_IN, "the job has opted in")
_NO = deny(Gate.OPT_IN, Reason.NOT_OPTED_IN, "metadata.allowAI is not true")


def check(subject: Subject, controls: Controls) -> Decision:
    """Let through only a job whose producer has opted in."""
    del controls  # consent is the job's, whatever the dials say
    return _YES if subject.opted_in is True else _NO
