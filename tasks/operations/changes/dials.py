"""The dials as an operator handles them: raw values with a version, changes, and the record of changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gates import DIALS, BrakeState, Dial, RawControls, kill_switch
from tasks.operations.changes import spend_cap

# What an operator sets: the gates' dials, and the one read when money is reserved.
OPERATED: tuple[Dial[Any], ...] = (*DIALS, spend_cap.DIAL)


@dataclass(frozen=True, slots=True)
class DialValues:
    """The raw dials at one moment, by name. `version` names the last recorded change; a change must name it.

    `live` has the dials as they were when the kill switch was last off, or none if it never was.
    """

    raw: RawControls
    version: str
    live: RawControls = field(default_factory=dict)

    def value(self, dial: Dial[Any]) -> bytes | None:
        """Return the raw value of one dial; None when its key is absent."""
        return self.raw.get(dial.name)

    def with_value(self, dial: Dial[Any], value: bytes | None) -> RawControls:
        """Return the raw dials as they would be after one change."""
        return {**self.raw, dial.name: value}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one dial, as it is recorded. None is an absent key.

    `widened` names the dimensions that it widens, in words of `exposure.DIMENSIONS`. `override` is the
    reason for which the one-dimension rule was set aside, or "".
    """

    dial: Dial[Any]
    after: bytes | None
    actor: str
    command: str
    reason: str = ""
    widened: tuple[str, ...] = ()
    override: str = ""


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """A change as the audit records it, made by a command or noticed after a raw Redis command.

    `wall_ms` is Redis's clock. `actor` and `command` of a raw change are `RAW_ACTOR` and `RAW_COMMAND`. What
    was `noticed` (raw changes, halts by the guard and the webhook) is only as trustworthy as any worker.
    `redis_user` is the user of Redis that wrote the entry.
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
    noticed: bool = False
    redis_user: str = ""

    @property
    def who(self) -> str:
        """Who made it, for people; who sent a raw command is not known."""
        return f"a {RAW_COMMAND}" if self.command == RAW_COMMAND else self.actor

    @property
    def by(self) -> str:
        """Who changed it, as one of `CHANGED_BY`: a metric may carry the kind, but no name."""
        if self.command == RAW_COMMAND:
            return RAW_COMMAND
        return self.actor if self.noticed and self.actor in CHANGED_BY else CHANGED_BY[0]


def last_of_each(audit: Sequence[RecordedChange]) -> dict[str, RecordedChange]:
    """Return the last change of each dial in `audit`, newest first; of a halt the first since the release."""
    found = {each.dial: each for each in reversed(audit)}
    if halted := halted_by(audit):
        found[kill_switch.NAME] = halted
    return found


def halted_by(audit: Iterable[RecordedChange]) -> RecordedChange | None:
    """Return who halted the fleet first since its last release; None if `audit`, newest first, has none."""
    first = None
    for each in audit:
        if each.dial != kill_switch.NAME:
            continue
        if each.after is not None and kill_switch.parse(each.after) is BrakeState.RELEASED:
            break
        first = each
    return first


@dataclass(frozen=True, slots=True)
class Engaged:
    """How the fleet was halted: by `SET`, else by `DEL`, or by `PUBLISH` where Redis refuses both.

    A message leaves the key as it is; `heard` is how many received it. `refusal` says why SET or DEL was
    refused.
    """

    by: str
    recorded: bool
    heard: int = 0
    refusal: str = ""

    @property
    def key_set(self) -> bool:
        """Whether the key says that the fleet is halted, to workers that start later as well."""
        return self.by != "PUBLISH"


# Put before the id of what was noticed: the two records number their entries separately.
NOTICED = "noticed:"
RAW_ACTOR = "unknown"
RAW_COMMAND = "raw Redis command"
# An operator is anyone who ran a slotgen command.
CHANGED_BY = ("operator", "guard", "alertmanager", RAW_COMMAND)


class DialsMoved(Exception):  # noqa: N818 - says what happened
    """Someone else changed a dial since it was read; nothing was changed."""


class AuditRefused(Exception):  # noqa: N818 - says what happened
    """The change could not be recorded, so it was not made (Redis out of memory, for one)."""
