"""What a gate is made of: a name, reasons, a check, and for some a dial in Redis."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from gates.decision import Decision, Reason
from gates.subject import Subject

T = TypeVar("T")


class Trouble(StrEnum):
    """What is wrong with a dial's value, phrased to follow its name; empty if nothing is."""

    NONE = ""
    ABSENT = "is absent"
    MALFORMED = "is malformed"
    OVERRULED = "is overruled by the environment"
    UNREADABLE = "could not be read"


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What a dial means; `note` says why it could not be read, `digest` identifies a policy's bytes."""

    value: T
    trouble: Trouble = Trouble.NONE
    note: str = ""
    digest: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Dial(Generic[T]):
    """A plain Redis key, `<namespace>:<name>`, that an operator sets.

    `parse` returns None for malformed bytes and raises on none; such a dial has the value `malformed`, an
    absent or unreadable one `shut`. `openness` is 0 where the dial denies every job, and larger the more it
    lets through. `open_value` is as open as it gets, None where that depends on the jobs; `command` opens it.
    A deployment's `variable` may restrict it: it is parsed the same way, and `strictest` combines the two.
    `digest` names the bytes. `opens_when`, `otherwise`, `remedy` and `bound` are words for people.
    """

    name: str
    parse: Callable[[bytes], T | None]
    shut: T
    malformed: T
    openness: Callable[[T], float]
    shown: Callable[[T], str]
    opens_when: str
    otherwise: str
    remedy: str
    command: str
    bound: str = "one word"
    open_value: bytes | None = None
    variable: str | None = None
    strictest: Callable[[Any, Any], Any] = min
    digest: Callable[[bytes], str] | None = None

    def __str__(self) -> str:
        return self.name

    def read(self, raw: bytes | None, ceiling: T | None = None) -> Reading[T]:
        """Return what `raw` (None: no key that holds a string) means under `ceiling` (None: no ceiling)."""
        reading = Reading(self.shut, Trouble.ABSENT) if raw is None else self._parsed(raw)
        if ceiling is None:
            return reading
        strictest = self.strictest(reading.value, ceiling)
        if strictest == reading.value:
            return reading
        return replace(reading, value=strictest, trouble=Trouble.OVERRULED)

    def ceiling(self, environment: Mapping[str, str]) -> T | None:
        """Return what the dial's variable restricts it to; None if it has no variable, or that is not set.

        Raises:
            ValueError: it is nothing that the dial may hold; the text has its name, its value and the remedy.

        """
        if self.variable is None or self.variable not in environment:
            return None
        text = environment[self.variable]
        # No accepted value has a character beyond ASCII, so a question mark in its place changes nothing.
        value = self.parse(text.encode("ascii", "replace"))
        if value is None:
            raise ValueError(f"{self.variable} is {text!r}; {self.remedy}, or unset it")
        return value

    def _parsed(self, raw: bytes) -> Reading[T]:
        digest = self.digest(raw) if self.digest else None
        value = self.parse(raw)
        if value is None:
            return Reading(self.malformed, Trouble.MALFORMED, digest=digest)
        return Reading(value, digest=digest)


@dataclass(frozen=True, slots=True, eq=False)
class Gate(Generic[T]):
    """One gate. `check` gets the job and the reading of the gate's own dial, or of None if it has no dial.

    Without `asks_job` the dial alone decides: `check` ignores the job.
    """

    name: str
    admits_when: str
    reasons: type[Reason]
    check: Callable[[Subject, Reading[T]], Decision]
    dial: Dial[T] | None = None
    asks_job: bool = True
