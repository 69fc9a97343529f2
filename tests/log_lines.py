"""Hears what workers log, and lets a test wait for a line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

# Far beyond what any line takes on a busy machine: it bounds a wait that would be in vain.
_WAIT_SECONDS = 60


@dataclass
class LogLines:
    """The lines so far, as they came; `hear` is the `on_line` of one or more workers. Safe in any thread."""

    _lines: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _arrived: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def hear(self, line: dict[str, Any]) -> None:
        with self._arrived:
            self._lines.append(line)
            self._arrived.notify_all()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._arrived:
            return iter(list(self._lines))

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        """The lines that carry a telemetry event: one for each outcome of a job."""
        return [line for line in self if "telemetry" in line]

    @property
    def codes(self) -> list[str | None]:
        """The errorCode of each outcome."""
        return [line["telemetry"]["errorCode"] for line in self.outcomes]

    @property
    def events(self) -> list[str]:
        """The name of each line's event."""
        return [line["event"] for line in self]

    def wait_for(self, holds: Callable[[LogLines], T], saying: str = "the workers never said it") -> T:
        """Return the first truthy value of `holds(lines)`, which is asked at every new line."""
        found: T | None = None

        def holds_now() -> bool:
            nonlocal found
            found = holds(self)
            return bool(found)

        with self._arrived:
            assert self._arrived.wait_for(holds_now, _WAIT_SECONDS), (
                f"{saying}; the last was {self._lines[-1:]}"
            )
        assert found is not None
        return found
