"""What each dial's bytes mean, by the tables of CONTRACT.md; nothing here raises on any bytes."""

import hashlib
import re
from functools import lru_cache

from gates.policy import Allowlist
from schemas import is_valid, parse_json

ALL_THOUSANDTHS = 100_000

_BLANKS = b" \t\r\n\v\f"
# ASCII digits only, no sign, no blanks, no exponent: a percentage that needs guessing is no percentage.
_PERCENT = re.compile(rb"100(?:\.0{1,3})?|[0-9]{1,2}(?:\.[0-9]{1,3})?")
# Redis holds up to 512 MiB; a policy of 10,000 rules, the most that the schema takes, has about 3 MB.
MAX_POLICY_BYTES = 16_777_216
_HASH_DIGITS = 12
# The policy in force and the one before it: each may be as large as MAX_POLICY_BYTES.
_REMEMBERED = 2


def word(raw: bytes) -> bytes:
    """Return `raw` without the ASCII blanks around it, ASCII letters in lower case."""
    return raw.strip(_BLANKS).lower()


def thousandths(raw: bytes) -> int | None:
    """Return the percentage times 1,000 (0-100,000), exactly; None when `raw` is no percentage."""
    if not _PERCENT.fullmatch(raw):
        return None
    whole, _, decimals = raw.partition(b".")
    return int(whole) * 1000 + int(decimals.ljust(3, b"0"))


def policy(raw: bytes) -> Allowlist | None:
    """Return the policy in `raw`, or None when it is anything but a valid allowlist v1."""
    return _policy(raw) if len(raw) <= MAX_POLICY_BYTES else None


def policy_hash(raw: bytes) -> str:
    """Return the short name of a policy: the first 12 hex digits of the SHA-256 of its bytes."""
    return _remembered_digest(raw) if len(raw) <= MAX_POLICY_BYTES else _digest(raw)


# Both remember by the exact bytes and are pure: the dial is still read afresh for each job, and the same
# bytes are the same policy. Without it 1,000 rules cost each job 10 ms.
@lru_cache(maxsize=_REMEMBERED)
def _policy(raw: bytes) -> Allowlist | None:
    try:
        document = parse_json(raw, max_bytes=MAX_POLICY_BYTES)
    except ValueError:
        return None
    if not is_valid("allowlist.v1", document):
        return None
    found = Allowlist.of(document)
    # The rule that matched is named in the log: two rules of one name would make that name a riddle.
    return found if len({rule.id for rule in found.rules}) == len(found.rules) else None


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:_HASH_DIGITS]


_remembered_digest = lru_cache(maxsize=_REMEMBERED)(_digest)
