"""What a deployment's environment restricts the dials to; it can never open one."""

from __future__ import annotations

from dataclasses import dataclass

from gates import dials


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most that the dials can open here; the default restricts nothing.

    `kill` holds the brake on, `feature_off` the feature off; `rollout_thousandths` is the highest percentage
    times 1,000 (0-100,000).
    """

    kill: bool = False
    feature_off: bool = False
    rollout_thousandths: int = dials.ALL_THOUSANDTHS

    @classmethod
    def parse(cls, *, kill: str | None, feature: str | None, rollout_percent: str | None) -> Ceilings:
        """Return the ceilings in three variables; None is an unset one, and restricts nothing.

        Raises:
            ValueError: a value is none that its variable may have; the text has the value and the remedy.

        """
        return cls(
            kill=kill is not None and _kill(kill),
            feature_off=feature is not None and _feature_off(feature),
            rollout_thousandths=dials.ALL_THOUSANDTHS
            if rollout_percent is None
            else _percent(rollout_percent),
        )


def _kill(value: str) -> bool:
    word = dials.word(_bytes(value))
    if word not in {b"true", b"1", b"false"}:
        raise ValueError(f"{value!r} neither engages nor frees the brake; set true, 1 or false, or unset it")
    return word != b"false"


def _feature_off(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError(f"{value!r} is neither true nor false; set one of them, or unset it")
    return value == "false"


def _percent(value: str) -> int:
    thousandths = dials.thousandths(_bytes(value))
    if thousandths is None:
        raise ValueError(
            f"{value!r} is no percentage; set a number from 0 to 100 with at most three decimals, or unset it"
        )
    return thousandths


def _bytes(value: str) -> bytes:
    # No accepted value has a character beyond ASCII, so that a question mark in its place changes nothing.
    return value.encode("ascii", "replace")
