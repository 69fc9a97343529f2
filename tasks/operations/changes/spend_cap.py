"""The dial of the spend cap: US dollars as decimal text, for each window of the budget.

No gate reads it: the account's scripts do, by the same rules, when money is reserved.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from gates import Dial

_USD = re.compile(rb"[0-9]+\.?[0-9]*")
_MOST_BYTES = 15
_NANO = 10**9


def parse(raw: bytes) -> int | None:
    """Return the cap in nano-dollars; None when `raw` is no number of dollars."""
    if len(raw) > _MOST_BYTES or not _USD.fullmatch(raw):
        return None
    return int((Decimal(raw.decode()) * _NANO).to_integral_value(ROUND_HALF_UP))


def strictest(cap: int | None, other: int | None) -> int | None:
    """Return the smaller of two caps; None is no cap."""
    return min((each for each in (cap, other) if each is not None), default=None)


DIAL: Dial[int | None] = Dial(
    name="budget_usd",
    parse=parse,
    # Without the key only the deployment's cap holds; a cap that would have to be guessed covers no call.
    shut=None,
    malformed=0,
    openness=lambda nano: float("inf") if nano is None else nano,
    shown=lambda nano: "no cap" if nano is None else f"${nano / _NANO:g} a window",
    opens_when="US dollars for a window, such as 12.50",
    otherwise="no cap; malformed: 0",
    remedy="set US dollars such as 5 or 12.50",
    command="slotgen budget set USD",
    strictest=strictest,
)
