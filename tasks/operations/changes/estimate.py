"""What a change of the dials would have meant for recent jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from gates import Controls, Subject, explain, kill_switch
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.timefmt import counted


@dataclass(frozen=True, slots=True)
class Effect:
    """How many of `jobs` recent jobs the gates would admit."""

    jobs: int
    admitted_before: int
    admitted_after: int

    @property
    def sentence(self) -> str:
        """The effect in one line."""
        if not self.jobs:
            return "no jobs came in the last 24 h to estimate the effect from"
        change = self.admitted_after - self.admitted_before
        came = counted(self.jobs, "distinct job")
        return (
            f"of the {came} of the last 24 h, {self.admitted_before} -> {self.admitted_after} "
            f"would be admitted ({change:+})"
        )


def estimate(outcomes: Sequence[OutcomeRecord], before: Controls, after: Controls) -> Effect:
    """Return the effect over the distinct jobs in `outcomes`, with the kill switch taken as off in both."""
    subjects = list({each.subject.job_id: each.subject for each in outcomes}.values())
    return Effect(len(subjects), _admitted(subjects, before), _admitted(subjects, after))


def _admitted(subjects: Sequence[Subject], controls: Controls) -> int:
    return sum(
        all(each.allowed or each.gate == kill_switch.NAME for each in explain(subject, controls))
        for subject in subjects
    )
