"""The policy of what may be generated at all."""

import hashlib
from functools import lru_cache

from gates.decision import Decision, Reason, admit, deny
from gates.gate import Dial, Gate, Reading
from gates.policy import Allowlist
from gates.subject import Subject
from schemas import is_valid, parse_json


class AllowlistReason(Reason):
    """The policy does not name the job."""

    NOT_ALLOWLISTED = (
        "NOT_ALLOWLISTED",
        "the allowlist is absent, invalid or disabled, or no enabled rule matches",
        "add a rule",
    )


NAME = "allowlist"
# Redis holds up to 512 MiB; a policy of 10,000 rules, the most that the schema allows, takes about 3 MB.
MAX_POLICY_BYTES = 16_777_216
_HASH_DIGITS = 12
_DISABLED = deny(NAME, AllowlistReason.NOT_ALLOWLISTED, "the allowlist is disabled")
_NO_MATCH = deny(NAME, AllowlistReason.NOT_ALLOWLISTED, "no enabled rule matches")


def parse(raw: bytes) -> Allowlist | None:
    """Return the policy in `raw`, or None if that is not a valid allowlist v1."""
    return _policy(raw) if len(raw) <= MAX_POLICY_BYTES else None


# Cached by its bytes, in addition to the snapshot of all dials: when another dial changes, above all in a
# halt, nothing may wait for a policy to be parsed again (10 ms for 1,000 rules). Only two: each may be large.
@lru_cache(maxsize=2)
def _policy(raw: bytes) -> Allowlist | None:
    try:
        document = parse_json(raw, max_bytes=MAX_POLICY_BYTES)
    except ValueError:
        return None
    if not is_valid("allowlist.v1", document):
        return None
    found = Allowlist.of(document)
    # The log names the rule that matched: with two rules of one name it would be ambiguous.
    return found if len({rule.id for rule in found.rules}) == len(found.rules) else None


def policy_hash(raw: bytes) -> str:
    """Return the short name of a policy: the first 12 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(raw).hexdigest()[:_HASH_DIGITS]


def check(subject: Subject, dial: Reading[Allowlist | None]) -> Decision:
    """Admit only what an enabled rule of a valid, enabled allowlist names."""
    policy = dial.value
    if policy is None:
        return deny(NAME, AllowlistReason.NOT_ALLOWLISTED, f"the allowlist {dial.trouble}")
    if not policy.enabled:
        return _DISABLED
    rule = policy.first_match(subject)
    return _NO_MATCH if rule is None else _admitted_by(rule.id)


# Building a decision takes longer than finding the rule (0.8 of 1.3 µs).
@lru_cache(maxsize=1024)
def _admitted_by(rule_id: str) -> Decision:
    return admit(NAME, f"rule {rule_id} matches")


def _shown(policy: Allowlist | None) -> str:
    if policy is None or not policy.enabled:
        return "denies all"
    number = len(policy.rules)
    return f"{sum(rule.enabled for rule in policy.rules)} of {number} rule{'' if number == 1 else 's'}"


DIAL = Dial(
    name="allowlist",
    parse=parse,
    shut=None,
    malformed=None,
    openness=lambda policy: policy is not None and policy.enabled,
    shown=_shown,
    opens_when="valid allowlist v1 JSON with `enabled: true`",
    otherwise="denies",
    remedy="set a valid allowlist v1",
    command="slotgen allowlist push FILE",
    bound="16 MiB are read",
    digest=policy_hash,
)
GATE = Gate(NAME, "a rule of the policy names it", AllowlistReason, check, DIAL)
