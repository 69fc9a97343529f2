"""What happened lately: the outcomes that workers leave in Redis for the operator's commands."""

from typing import Protocol

from tasks.generate.outcome import OutcomeRecord


class History(Protocol):
    """The bounded record of outcomes; the oldest ones leave first."""

    def since(self, wall_ms: int, limit: int) -> list[OutcomeRecord]:
        """Return the newest `limit` outcomes at or after `wall_ms`, oldest first.

        Raises:
            StoreUnavailable: Redis did not answer.

        """
        ...

    def now_ms(self) -> int:
        """Return the time by the history's clock."""
        ...
