"""What happened lately: the outcomes that workers leave in Redis for the operator's commands."""

from dataclasses import dataclass
from typing import Protocol

from gates import Subject
from tasks.limits.guard import cause_of


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """One job's outcome, without content. `wall_ms` is Redis's clock; costs are nano-dollars.

    `gate` is the gate that spoke last; `rule_id` and `policy_hash` are None where no policy was asked.
    `policy_rule` is the rule of plain text that an answer broke.
    `entry_id` is its place in the history, in order of time.
    """

    entry_id: str
    wall_ms: int
    task_id: str
    subject: Subject
    output_type: str
    status: str
    error_code: str | None
    path: str
    latency_ms: float
    cached: bool
    attempts: int
    cost_nano_usd: int
    gate: str | None
    rule_id: str | None
    policy_hash: str | None
    executor_version: str
    worker_id: str
    telemetry_valid: bool
    policy_rule: str | None

    @property
    def cause(self) -> str:
        """Why it is not COMPLETED, as OUTPUT_POLICY_VIOLATION/heading or NOT_OPTED_IN; "" when it is."""
        return cause_of(self.error_code, self.policy_rule)


class History(Protocol):
    """The bounded record of outcomes; the oldest ones leave first."""

    def since(self, wall_ms: int, limit: int) -> list[PastOutcome]:
        """Return the newest `limit` outcomes at or after `wall_ms`, oldest first.

        Raises:
            StoreUnavailable: Redis did not answer.

        """
        ...

    def now_ms(self) -> int:
        """Return the time by the history's clock."""
        ...
