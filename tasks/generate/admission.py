"""Decides whether a job may go to the model, without waiting for anything."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gates import Controls, Decision, evaluate, matching_rule
from gates import bucket as rollout_bucket
from gates.allowlist import AllowlistReason
from schemas import OutputType, output_type
from tasks.errors import ErrorCode, Failed, Stubbed
from tasks.generate.job_context import JobContext
from tasks.generate.spec import Job


@dataclass(slots=True)
class Admission:
    """The admission of one spec's jobs, in order; it counts them for `maxJobsPerRun`."""

    count_decision: Callable[[Decision], None]
    has_api_key: bool
    _admitted_by_rule: Counter[str] = field(default_factory=Counter)

    def admit(self, job: Job, context: JobContext, controls: Controls) -> OutputType:
        """Return the type to generate, or raise why not, as decided by `controls`, read for this job.

        Writes the gates' findings into `context`.

        Raises:
            Stubbed: a gate, the mode or the run limit said no.
            Failed: the output type is not known, or there is no API key.

        """
        self._pass_gates(job, context, controls)
        if job.mode == "verbatim":
            raise Stubbed(ErrorCode.VERBATIM_MODE, "verbatim text is never sent to a model")
        self._pass_run_limit(job, context, controls)
        found = output_type(job.output_type)
        if found is None:
            raise Failed(ErrorCode.UNSUPPORTED_OUTPUT_TYPE, "output.type has no schema in schemas/outputs")
        if not self.has_api_key:
            raise Failed(ErrorCode.MISSING_API_KEY, "set OPENAI_API_KEY for this worker")
        return found

    def _pass_gates(self, job: Job, context: JobContext, controls: Controls) -> None:
        decision = evaluate(job.subject, controls)
        self.count_decision(decision)
        context.gate, context.detail = decision.gate, decision.detail
        context.policy_hash = controls.policy_hash
        context.bucket = rollout_bucket(job.job_id)
        if decision.reason is not None:
            raise Stubbed(ErrorCode(decision.reason), decision.detail)

    def _pass_run_limit(self, job: Job, context: JobContext, controls: Controls) -> None:
        rule = matching_rule(job.subject, controls)
        if rule is None:  # the allowlist gate has just admitted it by a rule
            raise Stubbed(ErrorCode(AllowlistReason.NOT_ALLOWLISTED), "no enabled rule matches")
        context.rule_id = rule.id
        self._admitted_by_rule[rule.id] += 1
        if self._admitted_by_rule[rule.id] > rule.max_jobs_per_run:
            raise Stubbed(
                ErrorCode.RUN_LIMIT, f"rule {rule.id} admits {rule.max_jobs_per_run} jobs of a spec"
            )
