"""The dials as an operator handles them: raw values with a version, changes, and the record of changes."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Protocol

from gates import RawControls
from tasks.operations.changes.halting import Engaged


class Dial(StrEnum):
    """The dials; the words are the last part of their Redis keys, the first four the fields of `RawControls`.

    The gates read those four; the spend cap is read where money is reserved.
    """

    KILL = "kill"
    FEATURE = "feature"
    ROLLOUT_PERCENT = "rollout_percent"
    ALLOWLIST = "allowlist"
    BUDGET_USD = "budget_usd"


NEVER_LIVE = RawControls(kill=None, feature=None, rollout_percent=None, allowlist=None)


@dataclass(frozen=True, slots=True)
class DialValues:
    """The raw dials at one moment. `version` names the last recorded change; a change must name it.

    `live` and `live_budget_usd` have the dials as they were when the brake was last off; None when never.
    """

    raw: RawControls
    version: str
    live: RawControls = NEVER_LIVE
    budget_usd: bytes | None = None
    live_budget_usd: bytes | None = None

    def value(self, dial: Dial) -> bytes | None:
        """Return the raw value of one dial; None when its key is absent."""
        if dial is Dial.BUDGET_USD:
            return self.budget_usd
        value: bytes | None = getattr(self.raw, dial.value)
        return value

    def with_value(self, dial: Dial, value: bytes | None) -> RawControls:
        """Return the gates' raw dials as they would be after one change; the spend cap is none of theirs."""
        if dial is Dial.BUDGET_USD:
            return self.raw
        values = {each.name: getattr(self.raw, each.name) for each in fields(self.raw)}
        return RawControls(**(values | {dial.value: value}))


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one dial, as it is recorded. None is an absent key.

    `widened` names the dimensions that it widens, in words of `exposure.Dimension`. `override` is the
    reason for which the one-dimension rule was set aside, or "".
    """

    dial: Dial
    after: bytes | None
    actor: str
    command: str
    reason: str = ""
    widened: tuple[str, ...] = ()
    override: str = ""


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """A change as the audit has it, made by a command or noticed after a raw Redis command.

    `wall_ms` is Redis's clock. `actor` and `command` of a raw change are `RAW_ACTOR` and `RAW_COMMAND`.
    """

    audit_id: str
    wall_ms: int
    dial: str
    before: bytes | None
    after: bytes | None
    actor: str
    command: str
    reason: str
    widened: tuple[str, ...]
    override: str


RAW_ACTOR = "unknown"
RAW_COMMAND = "raw Redis command"


class DialsMoved(Exception):  # noqa: N818 - says what happened
    """Someone else changed a dial since it was read; nothing was changed."""


class AuditRefused(Exception):  # noqa: N818 - says what happened
    """The change could not be recorded, so it was not made (Redis out of memory, for one)."""


class DialStore(Protocol):
    """The dials and the record of their changes, shared by every operator."""

    def read(self) -> DialValues:
        """Return the dials, after recording what raw commands have changed.

        Raises:
            StoreUnavailable: Redis did not answer.

        """
        ...

    def change(self, change: Change, version: str) -> RecordedChange:
        """Set one dial and record it, both or neither, if nothing has changed since `version`.

        Raises:
            DialsMoved: something has.
            AuditRefused: it could not be recorded.
            StoreUnavailable: Redis did not answer.

        """
        ...

    def engage(self, actor: str, command: str, reason: str, value: bytes = b"true") -> Engaged:
        """Pull the brake by whatever Redis still takes; a record that cannot be written does not hinder it.

        `value` is any spelling of true, and tells one pull from another.

        Raises:
            StoreUnavailable: Redis did not answer at all.

        """
        ...

    def audit(self, limit: int) -> list[RecordedChange]:
        """Return the newest `limit` changes, newest first."""
        ...
