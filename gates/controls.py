"""The dials as one parsed snapshot: what Redis holds, restricted by what the environment allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gates.policy import Allowlist, hash_of, parse_allowlist

# ASCII digits only, no sign, no blanks, no exponent: a percentage that needs guessing is no percentage.
_PERCENT = re.compile(r"(?:100(?:\.0{1,3})?|[0-9]{1,2}(?:\.[0-9]{1,3})?)", re.ASCII)
_ALL_THOUSANDTHS = 100_000


class BrakeState(StrEnum):
    """The emergency brake: only RELEASED lets anything through."""

    RELEASED = "released"
    ENGAGED = "engaged"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class RawControls:
    """The four values as Redis returned them; None is an absent key, or one that holds no string."""

    kill: bytes | None
    feature: bytes | None
    rollout_percent: bytes | None
    allowlist: bytes | None


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a deployment's environment restricts the dials to; it can never open one."""

    kill: bool = False
    feature_off: bool = False
    rollout_thousandths: int = _ALL_THOUSANDTHS

    @classmethod
    def parse(cls, *, kill: str | None, feature: str | None, rollout_percent: str | None) -> Ceilings:
        """Return the ceilings; None is an unset variable, and restricts nothing.

        Raises:
            ValueError: a value is none that its variable may have.

        """
        thousandths = _ALL_THOUSANDTHS if rollout_percent is None else _thousandths(rollout_percent.strip())
        if thousandths is None:
            raise ValueError(f"{rollout_percent!r} is no percentage; set a number from 0 to 100")
        return cls(
            kill=kill is not None and _switch(kill, {"true", "1"}),
            feature_off=feature is not None and not _switch(feature, {"true"}),
            rollout_thousandths=thousandths,
        )


def _switch(value: str, yes: set[str]) -> bool:
    word = value.strip().lower()
    if word not in {*yes, "false"}:
        raise ValueError(f"{value!r} is neither true nor false; set one of them")
    return word in yes


@dataclass(frozen=True, slots=True)
class Controls:
    """The effective dials. `malformed` names each dial that holds a value it should not.

    `rollout_thousandths` is the percentage times 1,000 (0-100,000). `note` says why the brake is
    UNVERIFIED, when something better is known than "the key is absent".
    """

    brake: BrakeState
    feature_enabled: bool
    rollout_thousandths: int
    allowlist: Allowlist | None
    malformed: frozenset[str]
    policy_hash: str | None
    note: str = ""

    @classmethod
    def parse(cls, raw: RawControls, ceilings: Ceilings) -> Controls:
        """Return what `raw` amounts to under `ceilings`; no bytes make it raise."""
        percent = 0 if raw.rollout_percent is None else _thousandths(raw.rollout_percent)
        policy = None if raw.allowlist is None else parse_allowlist(raw.allowlist)
        return cls(
            brake=_brake(raw.kill, ceilings),
            feature_enabled=raw.feature == b"true" and not ceilings.feature_off,
            rollout_thousandths=min(percent or 0, ceilings.rollout_thousandths),
            allowlist=policy,
            malformed=_malformed(raw, percent, policy),
            policy_hash=None if raw.allowlist is None else hash_of(raw.allowlist),
        )

    @classmethod
    def unreadable(cls, note: str) -> Controls:
        """Return the dials of a store that did not answer: everything shut."""
        return cls(BrakeState.UNVERIFIED, False, 0, None, frozenset(), None, note)  # noqa: FBT003 - the feature is off


def _brake(raw: bytes | None, ceilings: Ceilings) -> BrakeState:
    if ceilings.kill:
        return BrakeState.ENGAGED
    if raw is None:
        return BrakeState.UNVERIFIED
    return BrakeState.RELEASED if _word(raw) == b"false" else BrakeState.ENGAGED


def _word(raw: bytes) -> bytes:
    return raw.strip(b" \t\r\n\v\f").lower()


def _thousandths(text: bytes | str) -> int | None:
    """Return the percentage times 1,000, exactly; None when it is none."""
    try:
        text = text if isinstance(text, str) else text.decode("ascii")
    except UnicodeDecodeError:
        return None
    if not _PERCENT.fullmatch(text):
        return None
    whole, _, decimals = text.partition(".")
    return int(whole) * 1000 + int(decimals.ljust(3, "0"))


def _malformed(raw: RawControls, percent: int | None, policy: Allowlist | None) -> frozenset[str]:
    wrong = {
        "kill": raw.kill is not None and _word(raw.kill) not in {b"false", b"true", b"1"},
        "feature": raw.feature not in {None, b"true", b"false"},
        "rollout_percent": percent is None,
        "allowlist": raw.allowlist is not None and policy is None,
    }
    return frozenset(name for name, is_wrong in wrong.items() if is_wrong)
