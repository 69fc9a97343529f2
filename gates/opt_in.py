"""The job's own consent."""

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Gate, Reading
from gates.subject import Subject


class OptInReason(Reason):
    """The producer has not opted in."""

    NOT_OPTED_IN = ("NOT_OPTED_IN", "`metadata.allowAI` is not `true`", "the producer opts in, job by job")


NAME = "opt_in"
_YES = admit(NAME, "the job has opted in")
_NO = deny(NAME, OptInReason.NOT_OPTED_IN, "metadata.allowAI is not true")


def check(subject: Subject, dial: Reading[None]) -> Decision:
    """Admit only a job whose producer has opted in."""
    del dial  # consent is the job's, whatever the dials say
    return _YES if subject.opted_in is True else _NO


GATE = Gate(NAME, "the producer has opted in", OptInReason, check)
