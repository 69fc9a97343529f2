"""The dials as one parsed snapshot: what Redis holds, restricted by what the environment allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self, TypeVar

from gates import allowlist, feature_flag, kill_switch, rollout
from gates.decision import Decision
from gates.gate import Gate, Reading, Trouble
from gates.kill_switch import BrakeState
from gates.pipeline import GATES
from gates.policy import Allowlist
from gates.subject import Subject

T = TypeVar("T")

# The dials as Redis returned them, by name; None or no entry means no key, or one that holds no string.
RawControls = Mapping[str, bytes | None]
Check = Callable[[Subject, Reading[Any]], Decision]
_CHECKS: tuple[Check, ...] = tuple(gate.check for gate in GATES)
# A gate without a dial has no entry in `RawControls`.
_NAMES = tuple(gate.dial.name if gate.dial else "" for gate in GATES)
_NO_DIAL = Reading(None)
_MAX_REMEMBERED_BYTES = allowlist.MAX_POLICY_BYTES


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The limits that a deployment's environment sets on the dials; it can never open one.

    `values` has one for each gate; None, as by default, restricts nothing.
    """

    values: tuple[Any, ...] = (None,) * len(GATES)

    @classmethod
    def parse(cls, environment: Mapping[str, str]) -> Self:
        """Return the ceilings set in `environment`, a mapping of variables.

        Raises:
            ValueError: a variable has a value that it may not have; the text names both, and the remedy.

        """
        return cls(tuple(gate.dial and gate.dial.ceiling(environment) for gate in GATES))

    def of(self, gate: Gate[T]) -> T | None:
        """Return what restricts the dial of `gate`; None if nothing does."""
        ceiling: T | None = self.values[GATES.index(gate)]
        return ceiling


_UNRESTRICTED = Ceilings()


@dataclass(frozen=True, slots=True)
class Controls:
    """The effective dials. `note` says why the store could not be read; empty if it could.

    `asked` has for each gate, in their order, its check and what the check is asked about: to pair them for
    each job anew costs a fifth of a decision. `undecided` are those that a job has yet to be asked about: the
    first ones look at no job, and their yes, a quarter of a decision, is the same for all.
    """

    asked: tuple[tuple[Check, Reading[Any]], ...]
    note: str = ""
    undecided: tuple[tuple[Check, Reading[Any]], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Ask the leading gates that do not depend on a job, up to the first no."""
        undecided = self.asked
        for gate in GATES:
            check, reading = undecided[0]
            if gate.asks_job or not check(None, reading).allowed:  # type: ignore[arg-type]  # it looks at none
                break
            undecided = undecided[1:]
        object.__setattr__(self, "undecided", undecided)

    @classmethod
    def parse(cls, raw: RawControls, ceilings: Ceilings = _UNRESTRICTED) -> "Controls":
        """Return the effective dials for `raw` under `ceilings`; never raises, whatever the bytes."""
        values = tuple(map(raw.get, _NAMES))
        if sum(map(len, filter(None, values))) > _MAX_REMEMBERED_BYTES:
            return _parsed.__wrapped__(values, ceilings)
        return _parsed(values, ceilings)

    @classmethod
    def unreadable(cls, note: str) -> Self:
        """Return the dials for a store that did not answer: everything shut. `note` becomes the detail."""
        note = note or "the dials could not be read"
        readings = (
            Reading(gate.dial.shut, Trouble.UNREADABLE, note) if gate.dial else _NO_DIAL for gate in GATES
        )
        return cls(tuple(zip(_CHECKS, readings, strict=True)), note)

    def of(self, gate: Gate[T]) -> Reading[T]:
        """Return the reading of the dial of `gate`."""
        return self.asked[GATES.index(gate)][1]

    @property
    def brake(self) -> BrakeState:
        """The kill switch as it was read."""
        return self.of(kill_switch.GATE).value

    @property
    def feature_enabled(self) -> bool:
        """Whether the feature is on."""
        return self.of(feature_flag.GATE).value

    @property
    def rollout_thousandths(self) -> int:
        """The percentage times 1,000 (0-100,000)."""
        return self.of(rollout.GATE).value

    @property
    def allowlist(self) -> Allowlist | None:
        """The policy; None if there is no valid one."""
        return self.of(allowlist.GATE).value

    @property
    def policy_hash(self) -> str | None:
        """The short hash of the policy's bytes, valid or not; None if there are none."""
        return self.of(allowlist.GATE).digest


# Cached by the exact bytes, and parsing is pure: the dials are still read afresh for each job. It takes a
# third of the time that parsing does. Only two, because each may hold a large policy.
@lru_cache(maxsize=2)
def _parsed(values: tuple[bytes | None, ...], ceilings: Ceilings) -> Controls:
    readings = (
        gate.dial.read(raw, ceiling) if gate.dial else _NO_DIAL
        for gate, raw, ceiling in zip(GATES, values, ceilings.values, strict=True)
    )
    return Controls(tuple(zip(_CHECKS, readings, strict=True)))
