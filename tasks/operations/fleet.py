"""The workers as an operator sees them: who lives, what they see of the dials, and how they halted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a living worker says of itself. Times are milliseconds by Redis's clock.

    `brake` is the errorCode for which it lets nothing leave, None when the brake is off to it.
    `policy_hash` names the policy it read last; None where there is none, or none was read yet.
    """

    worker_id: str
    host: str
    pid: int
    version: str
    executor_version: str
    in_flight: int
    brake: str | None
    policy_hash: str | None
    has_api_key: bool
    started_wall_ms: int
    seen_wall_ms: int


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A worker's word that it cancelled `calls`, and that none is left `halt_ms` after it saw the halt."""

    worker_id: str
    calls: int
    halt_ms: float
