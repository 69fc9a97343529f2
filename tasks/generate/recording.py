"""Turns an outcome and its trail into the one telemetry event of that job."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.generate.job_context import Trail
from tasks.generate.outcome import Outcome
from tasks.generate.spec import Job
from telemetry import Details, Recorder, TelemetryEvent


@dataclass(frozen=True, slots=True)
class OutcomeRecording:
    """Records outcomes for one executor version."""

    recorder: Recorder
    executor_version: str

    def __call__(self, job: Job, outcome: Outcome, trail: Trail, latency_ms: float, task_id: str) -> bool:
        """Emit the event of `outcome`, once by contract of the caller; return whether it was valid."""
        event = TelemetryEvent(
            executor_version=self.executor_version,
            job_id=job.job_id,
            path=trail.path,
            status=outcome.status.value,
            latency_ms=round(latency_ms, 3),
            error_code=outcome.error_code.value if outcome.error_code else None,
        )
        return self.recorder.record(event, _details(job, trail, task_id))


def _details(job: Job, trail: Trail, task_id: str) -> Details:
    return Details(
        task_id=task_id,
        kind=job.kind,
        output_type=job.output_type,
        gate=trail.gate,
        bucket=trail.bucket,
        rule_id=trail.rule_id,
        policy_hash=trail.policy_hash,
        detail=trail.detail,
        model=trail.model,
        input_tokens=trail.input_tokens or None,
        cached_input_tokens=trail.cached_input_tokens or None,
        output_tokens=trail.output_tokens or None,
        cost_nano_usd=trail.cost_nano_usd or None,
        request_id=trail.request_id,
        attempts=trail.attempts,
        repairs=trail.repairs or None,
        policy_rule=trail.policy_rule,
        cached=trail.cached,
    )
