"""The workers as an operator sees them: which are alive, how they see the dials, and how they halted."""

from dataclasses import dataclass

from tasks.operations.model_listing import ModelListing
from tasks.operations.timefmt import counted, span

# A heartbeat may be late once; after two missed ones, nothing a worker last said can be relied on.
_BEATS_MISSED = 2


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker last said about itself. Times are milliseconds by Redis's clock.

    `brake` is the errorCode for which it lets nothing leave, None when the brake is off to it. `policy_hash`
    names the policy it read last; None where there is none, or none was read yet. `latched`: a message has
    halted it, over whatever the kill key reads. It reports every `beat_seconds`; the reader notes in
    `silent_seconds` how long it has not, None if for less than two heartbeats. The
    `model…` fields are those of its `listing`. `cap_nano_usd` is its own spend cap, None for none, and
    `window_seconds` how long a window of that is, 0 where it does not say.
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
    cap_nano_usd: int | None = None
    window_seconds: int = 0

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
        """What to know and do about a worker that is silent; "" for one that is not."""
        if self.silent_seconds is None:
            return ""
        since = span(self.silent_seconds)
        return (
            f"worker {self.name}: silent since {since}; it was stopped, hangs, or Redis takes no writes. "
            f"What it has in flight is not known: see to it, or end it with kill -9 {self.pid}"
        )

    def silent_at(self, now_wall_ms: int) -> float | None:
        """Return for how many seconds it has been silent at `now_wall_ms`, None if it is not."""
        age_seconds = (now_wall_ms - self.seen_wall_ms) / 1000
        return age_seconds if age_seconds > _BEATS_MISSED * self.beat_seconds else None


def cancelled_calls(number: int) -> str:
    """Return what a halt has cancelled, in words."""
    return f"{counted(number, 'call')} in flight {'was' if number == 1 else 'were'} cancelled"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A worker's confirmation that it cancelled `calls`, the last of them `halt_ms` after it saw the halt."""

    worker_id: str
    calls: int
    halt_ms: float
