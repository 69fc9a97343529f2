"""The fleet's account as an operator sees it. Amounts are integer nano-dollars."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """One window's account; `by_model` has (spent, held, written off). `cap` is None if there is none.

    `held` is set aside for requests in flight; `written_off` counts as spent because no outcome is known.
    `by_rule` has what workers have settled, spent or written off, for the jobs of each allowlist rule. Times
    are seconds by Redis's clock.
    """

    cap: int | None
    spent: int
    held: int
    written_off: int
    by_model: dict[str, tuple[int, int, int]]
    began: int
    ends: int
    by_rule: dict[str, int]

    @property
    def of_no_rule(self) -> int:
        """What was written off for lost workers, and what rules have spent for which there was no room."""
        return self.spent + self.written_off - sum(self.by_rule.values())

    @property
    def left(self) -> int | None:
        """What the cap still covers, 0 or more; None where there is no cap."""
        return None if self.cap is None else max(0, self.cap - self.spent - self.held - self.written_off)


def uncovered(amount: int, cap: int, used: int) -> str:
    """Return why a request that may cost `amount` is not covered by `cap` (below 0: none can be read)."""
    call = f"a call may cost {usd(amount)}"
    if cap < 0:
        return f"{call}, and the spend cap is malformed, which covers none; slotgen budget set USD"
    if amount > cap:
        whole = f"{call}, which is more than the whole spend cap of {usd(cap)}"
        return f"{whole}; raise it (slotgen budget set USD), or lower maxOutputTokens in the executor config"
    return f"{call}, and of the spend cap of {usd(cap)} {usd(cap - used)} is left; see slotgen budget"


def usd(nano_usd: int) -> str:
    """Return an amount in dollars with two to four digits: `$5.00`, `$0.0205`; `<$0.0001` of what is less."""
    shown = f"{nano_usd / 10**9:.4f}"
    if nano_usd > 0 and float(shown) == 0:
        return "<$0.0001"
    return f"${shown.removesuffix('0').removesuffix('0')}"
