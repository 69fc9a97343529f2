"""The workers as an operator sees them: who lives, and what they see of the dials."""

from dataclasses import dataclass
from typing import Protocol


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


class Fleet(Protocol):
    """Every living worker of the namespace."""

    def workers(self) -> list[WorkerInfo]:
        """Return the cards of the workers that have given a sign of life lately, oldest first.

        Raises:
            StoreUnavailable: Redis did not answer.

        """
        ...

    def queue_depth(self) -> int:
        """Return how many messages wait."""
        ...

    def queue_oldest_seconds(self) -> float | None:
        """Return how long, at the least, the oldest message has waited; 0 for an empty queue.

        None where nobody can say yet.
        """
        ...
