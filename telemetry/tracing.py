"""Which trace the work at hand belongs to: its log line and the exemplars of its durations name it."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace by its id, 32 hexadecimal digits; only a `sampled` one can be looked up where traces go."""

    trace_id: str
    sampled: bool


# Set for a message, and so for all that is done for it; None without tracing.
TRACE: ContextVar[Trace | None] = ContextVar("slotgen_trace", default=None)


def exemplar() -> dict[str, str] | None:
    """Return the labels by which a measurement leads to its trace; None where there is none to see."""
    trace = TRACE.get()
    return {"trace_id": trace.trace_id} if trace and trace.sampled else None
