"""The keys of the dials, made of the gates' list, and with them the table of all keys.

Apart from keys.py, which costs nothing to import.
"""

from typing import Any

from gates import DIALS, Dial
from tasks.operations.changes.dials import OPERATED
from worker.adapters.redis import keys
from worker.adapters.redis.keys import Key

# Those with a row of their own, for rights that others do not have or for what reads them.
_LISTED = {each.pattern: each for each in keys.TABLE}


def _key(dial: Dial[Any]) -> Key:
    pattern = f"{{ns}}:{dial}"
    holds = f"a gate's dial, open when it holds {dial.opens_when}"
    lifetime = "until it is set or deleted"
    row = Key(
        pattern,
        "string",
        "operator",
        holds,
        dial.bound,
        lifetime,
        {"worker": "mget type getrange", "web": "mget type getrange"},
        entries=1,
        entry_bytes=keys.DIAL_BYTES,
    )
    return _LISTED.get(pattern, row)


DIAL_KEYS = {dial: _key(dial) for dial in OPERATED}
TABLE = (*DIAL_KEYS.values(), *(each for each in keys.TABLE if each not in DIAL_KEYS.values()))


def dial_keys(namespace: str) -> list[str]:
    """Return the keys of the dials that the gates read, in the gates' order."""
    return [DIAL_KEYS[dial](namespace) for dial in DIALS]
