"""The fleet's account as an operator sees it. Amounts are integer nano-dollars."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """One window's account; `by_model` has (spent, held, written off). `cap` is None where there is none.

    `held` is set aside for requests in flight, `written_off` counts as spent for want of an outcome.
    Times are seconds by Redis's clock.
    """

    cap: int | None
    spent: int
    held: int
    written_off: int
    by_model: dict[str, tuple[int, int, int]]
    began: int
    ends: int

    @property
    def left(self) -> int | None:
        """What the cap still covers, 0 or more; None where there is no cap."""
        return None if self.cap is None else max(0, self.cap - self.spent - self.held - self.written_off)
