"""Measures the fleet's account, at the moment of a scrape."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tasks.errors import StoreUnavailable
from tasks.operations.money import Account, AccountView
from telemetry import Metrics

_NANO = 10**9


@dataclass(frozen=True, slots=True)
class BudgetGauges:
    """The gauges of the window that runs now; a Redis that does not answer reads as NaN."""

    account: AccountView

    def attach(self, metrics: Metrics) -> None:
        """Let each scrape ask."""
        for name, amount in _AMOUNTS.items():
            metrics.gauge(name).set_function(self._asking(amount))

    def _asking(self, amount: Callable[[Account], float]) -> Callable[[], float]:
        def ask() -> float:
            try:
                return amount(self.account.read())
            except StoreUnavailable:
                return math.nan

        return ask


def _cap_usd(account: Account) -> float:
    return math.inf if account.cap is None else account.cap / _NANO


_AMOUNTS: dict[str, Callable[[Account], float]] = {
    "slotgen_budget_cap_usd": _cap_usd,
    "slotgen_budget_spent_usd": lambda account: account.spent / _NANO,
    "slotgen_budget_held_usd": lambda account: account.held / _NANO,
    "slotgen_budget_written_off_usd": lambda account: account.written_off / _NANO,
}
