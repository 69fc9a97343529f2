"""The telemetry event v1, and the envelope of details that travels beside it."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TelemetryEvent:
    """One job's outcome, exactly as the locked schema has it. `latency_ms` is milliseconds, 0 or more."""

    executor_version: str
    job_id: str
    path: str
    status: str
    latency_ms: float
    error_code: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the document of telemetry v1."""
        return {
            "version": "v1",
            "executorVersion": self.executor_version,
            "jobId": self.job_id,
            "path": self.path,
            "status": self.status,
            "latencyMs": self.latency_ms,
            "errorCode": self.error_code,
        }


@dataclass(frozen=True, slots=True)
class Details:
    """What an operator wants to know besides; None means not known. Costs are nano-dollars. Never content."""

    task_id: str | None = None
    kind: str | None = None
    output_type: str | None = None
    gate: str | None = None
    detail: str | None = None
    bucket: int | None = None
    rule_id: str | None = None
    policy_hash: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    request_id: str | None = None
    attempts: int | None = None
    repairs: int | None = None
    policy_rule: str | None = None
    cached: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the details that are known; beside a cost, the same as exact decimal text, `cost_usd`."""
        values = {name: getattr(self, name) for name in _DETAILS}
        known = {name: value for name, value in values.items() if value is not None}
        if self.cost_nano_usd is not None:
            known["cost_usd"] = "{}.{:09}".format(*divmod(self.cost_nano_usd, 1_000_000_000))
        return known


# dataclasses.asdict copies deeply, which costs 5 µs a job for values that need no copy.
_DETAILS = tuple(field.name for field in dataclasses.fields(Details))
