"""The workers as an operator sees them: who lives, what they see of the dials, and how they halted."""

from dataclasses import dataclass

from tasks.operations.model_listing import ModelListing
from tasks.operations.timefmt import counted, span

# A heartbeat may be late once; a worker that misses two says nothing of itself that could be relied upon.
_BEATS_MISSED = 2


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker said of itself last. Times are milliseconds by Redis's clock.

    `brake` is the errorCode for which it lets nothing leave, None when the brake is off to it.
    `policy_hash` names the policy it read last; None where there is none, or none was read yet. `latched`: a
    message has halted it, over whatever the kill key reads. It says so every `beat_seconds`; whoever reads it
    notes in `silent_seconds` for how long it has not, None while that is less than two heartbeats.
    `model…` is its `listing`, part by part.
    """

    worker_id: str
    host: str
    pid: int
    version: str
    executor_version: str
    in_flight: int
    brake: str | None
    policy_hash: str | None
    has_api_key: bool
    started_wall_ms: int
    seen_wall_ms: int
    latched: bool = False
    beat_seconds: float = 5.0
    silent_seconds: float | None = None
    model: str = ""
    model_listed: bool | None = None
    model_shutdown: str | None = None
    model_unknown: str = ""

    @property
    def listing(self) -> ModelListing:
        """What the server has said to it of its model."""
        return ModelListing(self.model, self.model_listed, self.model_shutdown, self.model_unknown)

    @property
    def name(self) -> str:
        """The process, for people."""
        return f"{self.host}/{self.pid}"

    @property
    def silence(self) -> str:
        """What to know and to do of a worker that is silent; "" of one that is not."""
        if self.silent_seconds is None:
            return ""
        since = span(self.silent_seconds)
        return (
            f"worker {self.name}: silent since {since}; it was stopped, hangs, or Redis takes no writes. "
            f"What it has in flight is not known: see to it, or end it with kill -9 {self.pid}"
        )

    def silent_at(self, now_wall_ms: int) -> float | None:
        """Return for how many seconds it is silent at `now_wall_ms`, None where it is not."""
        age_seconds = (now_wall_ms - self.seen_wall_ms) / 1000
        return age_seconds if age_seconds > _BEATS_MISSED * self.beat_seconds else None


def cancelled_calls(number: int) -> str:
    """Return what a halt has cancelled, in words."""
    return f"{counted(number, 'call')} in flight {'was' if number == 1 else 'were'} cancelled"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A worker's word that it cancelled `calls`, and that none is left `halt_ms` after it saw the halt."""

    worker_id: str
    calls: int
    halt_ms: float
