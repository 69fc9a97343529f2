"""The dial of the spend cap: US dollars as decimal text, for each window of the budget."""

import re
from decimal import Decimal

# As the scripts of the account read it: a value that needs guessing denies every call.
_USD = re.compile(rb"[0-9]+\.?[0-9]*")
_MOST_BYTES = 15
_NANO = 10**9


def nano_usd(raw: bytes | None) -> int | None:
    """Return the cap in nano-dollars; None for no cap, 0 for a malformed one, which denies every call."""
    if raw is None:
        return None
    if not valid(raw):
        return 0
    return int(Decimal(raw.decode()) * _NANO)


def valid(raw: bytes) -> bool:
    """Whether the scripts of the account read `raw` as a cap."""
    return len(raw) <= _MOST_BYTES and _USD.fullmatch(raw) is not None


def is_wider(before: bytes | None, after: bytes | None) -> bool:
    """Whether `after` lets more be spent than `before`."""
    was, will_be = nano_usd(before), nano_usd(after)
    if was is None:
        return False
    return will_be is None or will_be > was
