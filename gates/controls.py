"""The dials as one parsed snapshot: what Redis holds, restricted by what the environment allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gates import dials
from gates.ceilings import Ceilings
from gates.policy import Allowlist

_NO_DIALS: frozenset[str] = frozenset()


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
class Controls:
    """The effective dials. `malformed`, `absent` and `restricted` name dials as `RawControls` does.

    `malformed` holds a value it should not; `restricted` would be more open without the environment.
    `rollout_thousandths` is the percentage times 1,000 (0-100,000). `note` is empty unless the store could
    not be read, and then says why.
    """

    brake: BrakeState
    feature_enabled: bool
    rollout_thousandths: int
    allowlist: Allowlist | None
    malformed: frozenset[str]
    policy_hash: str | None
    note: str = ""
    absent: frozenset[str] = _NO_DIALS
    restricted: frozenset[str] = _NO_DIALS

    @classmethod
    def parse(cls, raw: RawControls, ceilings: Ceilings) -> Controls:
        """Return what `raw` amounts to under `ceilings`; no bytes make it raise."""
        percent = 0 if raw.rollout_percent is None else dials.thousandths(raw.rollout_percent)
        policy = None if raw.allowlist is None else dials.policy(raw.allowlist)
        return cls(
            brake=_brake(raw.kill, ceilings),
            feature_enabled=raw.feature == b"true" and not ceilings.feature_off,
            rollout_thousandths=min(percent or 0, ceilings.rollout_thousandths),
            allowlist=policy,
            malformed=_malformed(raw, percent, policy),
            policy_hash=None if raw.allowlist is None else dials.policy_hash(raw.allowlist),
            absent=_absent(raw),
            restricted=_restricted(raw, percent, ceilings),
        )

    @classmethod
    def unreadable(cls, note: str) -> Controls:
        """Return the dials of a store that did not answer: everything shut. `note` becomes the detail."""
        return cls(
            brake=BrakeState.UNVERIFIED,
            feature_enabled=False,
            rollout_thousandths=0,
            allowlist=None,
            malformed=_NO_DIALS,
            policy_hash=None,
            note=note or "the dials could not be read",
        )

    def trouble(self, dial: str) -> str:
        """Return what keeps `dial` from saying what it holds, as "is absent"; "" when nothing does."""
        if self.note:
            return "could not be read"
        if dial in self.restricted:
            return "is overruled by the environment"
        if dial in self.malformed:
            return "is malformed"
        return "is absent" if dial in self.absent else ""


def _brake(raw: bytes | None, ceilings: Ceilings) -> BrakeState:
    if ceilings.kill:
        return BrakeState.ENGAGED
    if raw is None:
        return BrakeState.UNVERIFIED
    return BrakeState.RELEASED if dials.word(raw) == b"false" else BrakeState.ENGAGED


def _malformed(raw: RawControls, percent: int | None, policy: Allowlist | None) -> frozenset[str]:
    return _named(
        kill=raw.kill is not None and dials.word(raw.kill) not in {b"false", b"true", b"1"},
        feature=raw.feature not in {None, b"true", b"false"},
        rollout_percent=percent is None,
        allowlist=raw.allowlist is not None and policy is None,
    )


def _absent(raw: RawControls) -> frozenset[str]:
    return _named(
        kill=raw.kill is None,
        feature=raw.feature is None,
        rollout_percent=raw.rollout_percent is None,
        allowlist=raw.allowlist is None,
    )


def _restricted(raw: RawControls, percent: int | None, ceilings: Ceilings) -> frozenset[str]:
    return _named(
        kill=ceilings.kill and (raw.kill is None or dials.word(raw.kill) == b"false"),
        feature=ceilings.feature_off and raw.feature == b"true",
        rollout_percent=(percent or 0) > ceilings.rollout_thousandths,
    )


def _named(**holds: bool) -> frozenset[str]:
    return frozenset(dial for dial, is_so in holds.items() if is_so) if any(holds.values()) else _NO_DIALS
