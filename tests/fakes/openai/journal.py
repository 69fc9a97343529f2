"""Records what the OpenAI stand-in saw, without content, and lets another thread wait for it."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

# Far above any test or demonstration; a stand-in left running overnight stays small.
_RECORDS_KEPT = 100_000


class Reply(StrEnum):
    """How a request ended, as the server saw it."""

    COMPLETED = "completed"  # answered with a 200, whatever its body
    REJECTED = "rejected"  # answered with an error status
    RESET = "reset"  # we dropped the connection
    CANCELLED = "cancelled"  # the client went before the answer


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One request; times are `time.monotonic()` seconds, the same clock for every process of a machine."""

    body_sha256: str
    started_mono: float
    ended_mono: float | None = None
    outcome: Reply | None = None  # None while in flight
    status: int | None = None  # None when nothing was answered
    billed_tokens: int = 0  # input and output; work that was done is billed, whether or not it arrived


@dataclass(frozen=True, slots=True)
class Counts:
    """The journal's totals at one moment: begun = in_flight + completed + rejected + reset + cancelled."""

    begun: int = 0
    in_flight: int = 0
    completed: int = 0
    rejected: int = 0
    reset: int = 0
    cancelled: int = 0
    billed_tokens: int = 0
    open_connections: int = 0  # idle ones that are kept alive included
    last_connection_closed_mono: float | None = None


class Journal:
    """The record of one stand-in. Safe in any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._counts = Counts()
        self._in_flight: dict[int, JournalRecord] = {}
        self._ended: deque[JournalRecord] = deque(maxlen=_RECORDS_KEPT)

    def counts(self) -> Counts:
        """Return the totals of this moment."""
        with self._changed:
            return self._counts

    def records(self) -> tuple[JournalRecord, ...]:
        """Return every ended request, in order of ending (the last 100,000), then those in flight."""
        with self._changed:
            return (*self._ended, *self._in_flight.values())

    def billed_requests(self) -> Counter[str]:
        """Return how often each request body was billed, by its SHA-256: above 1 is paid twice."""
        return Counter(each.body_sha256 for each in self.records() if each.billed_tokens)

    def wait_until(self, predicate: Callable[[Counts], bool], timeout_seconds: float = 10.0) -> Counts:
        """Block until `predicate(counts)` is true, and return those counts.

        Raises:
            TimeoutError: it did not come true in time; the message has the counts.

        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self._counts), timeout_seconds):
                raise TimeoutError(f"not so after {timeout_seconds:g} s; the stand-in counts {self._counts}")
            return self._counts

    def begin(self, body_sha256: str) -> int:
        """Record that a request arrived whole, and return its number."""
        with self._changed:
            number = self._counts.begun
            self._in_flight[number] = JournalRecord(body_sha256, time.monotonic())
            self._add(begun=1, in_flight=1)
            return number

    def end(self, number: int, outcome: Reply, status: int | None, billed_tokens: int) -> None:
        """Record how request `number` ended."""
        with self._changed:
            begun = self._in_flight.pop(number)
            end = (time.monotonic(), outcome, status, billed_tokens)
            self._ended.append(JournalRecord(begun.body_sha256, begun.started_mono, *end))
            self._add(in_flight=-1, billed_tokens=billed_tokens, **{outcome.value: 1})

    def connection_opened(self) -> None:
        """Count a connection in."""
        with self._changed:
            self._add(open_connections=1)

    def connection_closed(self) -> None:
        """Count a connection out, with the time of it."""
        with self._changed:
            self._counts = replace(self._counts, last_connection_closed_mono=time.monotonic())
            self._add(open_connections=-1)

    def forget_connection(self) -> None:
        """Count a connection out that turned out to be for no request."""
        with self._changed:
            self._add(open_connections=-1)

    def _add(self, **changes: int) -> None:
        totals = {name: getattr(self._counts, name) + change for name, change in changes.items()}
        self._counts = replace(self._counts, **totals)
        self._changed.notify_all()
