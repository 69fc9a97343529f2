"""Turns an outcome and its trail into the one telemetry event of that job."""

from dataclasses import dataclass

from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome
from tasks.generate.spec import Job
from telemetry import Details, Recorder, TelemetryEvent


@dataclass(frozen=True, slots=True)
class OutcomeRecording:
    """Records outcomes for one executor version."""

    recorder: Recorder
    executor_version: str

    def __call__(
        self, job: Job, outcome: Outcome, context: JobContext, latency_ms: float, task_id: str
    ) -> bool:
        """Emit the event of `outcome`, once by contract of the caller; return whether it was valid."""
        event = TelemetryEvent(
            executor_version=self.executor_version,
            job_id=job.job_id,
            path=context.path,
            status=outcome.status.value,
            latency_ms=round(latency_ms, 3),
            error_code=outcome.error_code.value if outcome.error_code else None,
        )
        return self.recorder.record(event, _details(job, context, task_id))


def _details(job: Job, context: JobContext, task_id: str) -> Details:
    return Details(
        task_id=task_id,
        kind=job.kind,
        output_type=job.output_type,
        gate=context.gate,
        bucket=context.bucket,
        rule_id=context.rule_id,
        policy_hash=context.policy_hash,
        detail=context.detail,
        model=context.model,
        input_tokens=context.input_tokens or None,
        cached_input_tokens=context.cached_input_tokens or None,
        output_tokens=context.output_tokens or None,
        cost_nano_usd=context.cost_nano_usd or None,
        request_id=context.request_id,
        attempts=context.attempts,
        repairs=context.repairs or None,
        policy_rule=context.policy_rule,
        cached=context.cached,
    )
