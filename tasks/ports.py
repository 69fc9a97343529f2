"""What the use case needs from outside; the adapters in `worker/adapters` provide it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from gates import Controls
from tasks.errors import ErrorCode
from tasks.limits.guard import GuardFinding, Observation


class ControlSource(Protocol):
    """The live dials. `at_once` is how many reads one round trip may have now (1 or more)."""

    @property
    def at_once(self) -> int:
        """Return how many keep a round trip far shorter than a read's deadline, judged by the latest ones."""

    def read(self) -> Controls:
        """Return the dials as they are now. Never raises: if they cannot be read, the brake is UNVERIFIED."""

    async def read_each(self, number: int) -> list[Controls]:
        """Return `number` separate reads from one round trip. Never raises."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to a model, complete. `size_bytes` bounds its input tokens from above."""

    model: str
    instructions: str
    input_text: str
    output_name: str
    wire_schema: dict[str, Any]
    max_output_tokens: int
    options: dict[str, Any]
    timeout_seconds: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one request, and the service tier that the server named for it, None if it named none.

    `input_tokens` includes the cached and cache-written ones.
    """

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    service_tier: str | None = None

    def served_as(self, asked: str | None) -> bool:
        """Whether the request was served by the tier that was asked for; if none was, any will do."""
        return asked is None or self.service_tier == asked


NOT_JUDGED = "not_judged"
# What moderation may find, by the names of OpenAI's omni-moderation models, and that it could not judge.
FLAGS = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
    NOT_JUDGED,
)


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came back. `usage` is None when the server did not say what it charged.

    `text` is None when there is no text to read: then `refused` or `truncated` says why. `flagged` has what
    speaks against the `input` and the `output`, where the request asked for moderation: some of FLAGS, or
    `other`. What was to be judged and was not is NOT_JUDGED. `model` is the name that the server gave the
    model, None where it gave none that can be said.
    """

    text: str | None
    refused: bool
    truncated: bool
    usage: TokenUsage | None
    request_id: str | None
    flagged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    model: str | None = None


class Model(Protocol):
    """A language model, on one event loop; a provider is one adapter of this."""

    async def ready(self) -> None:
        """Return once a request can be sent: the first ones may come before its client is open.

        Raises what prevented it: a bug or a broken installation, never an answer of the model.
        """

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        """Send `request` once, without retries. Raises ModelError if no answer came, for whatever reason."""

    def abort_connections(self) -> None:
        """Close every connection at once, for a halt and from any thread; the next request opens new ones."""

    async def close(self) -> None:
        """Close everything it has open, for good."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker finds when it asks for a job: it is `ours`, or there is an `answer`, or someone has it.

    `stored` is the answer's bytes, empty if there is none.
    """

    ours: bool
    stored: bytes = b""
    answer: Any | None = None


@dataclass(frozen=True, slots=True)
class Departure:
    """A request that asks to leave: its worst-case cost is held until it is settled.

    With a `token` it leaves only while the job is still claimed under it. At most `most_begun` requests of
    one job may have been begun without an outcome, this one included. Money not settled within `hold_seconds`
    counts as spent. One that `may_probe` leaves as the probe of an open breaker, where none is under way.
    """

    key: str
    reservation_id: str
    model: str
    worst_nano_usd: int
    hold_seconds: float
    most_begun: int
    token: str = ""
    may_probe: bool = True


@dataclass(frozen=True, slots=True)
class Departed:
    """Whether the request `left`; if not, nothing is held or counted, and one of these says why.

    The job is `unclaimed`: somebody has taken it over, or answered it. No request to the model leaves for
    `wait_seconds`; the whole account is `refused`, for this errorCode; the money is `uncovered`, with the cap
    in force (below 0 for none that can be read) and what is used of it; or too many were `begun`.

    One that left is number `begun` of those without an outcome, and may be the `probe` of an open breaker.
    """

    left: bool
    begun: int = 0
    probe: bool = False
    unclaimed: bool = False
    wait_seconds: float = 0.0
    refused: ErrorCode | None = None
    uncovered: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a request has cost; if not `known`, the most that its unknown outcome may have cost.

    `rule` is the allowlist rule that admitted the job.
    """

    reservation_id: str
    spent_nano_usd: int
    known: bool
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a job claimed by `token` ("" for none).

    A job without an outcome is not `concluded`: its attempts stay in the ledger. The guard counts its
    `observation` once.
    """

    token: str
    concluded: bool
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a request or a job leaves behind. Each part is optional and independent of the others.

    `answer` is the JSON text to keep. `cooldown_seconds` is how long no request to `model` may leave; a
    longer cooldown stays in force. The breaker is opened by an account's refusal, `opened_by`, and closed by
    the answer to a probe. `taken_back` is the number of an attempt that was refused before any work was done.
    """

    key: str
    settlement: Settlement | None = None
    answer: str | None = None
    model: str = ""
    cooldown_seconds: float = 0.0
    opened_by: ErrorCode | None = None
    closes_breaker: bool = False
    taken_back: int = 0
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """Whether an answer was `stored` (True if there was none), and what the guard found."""

    stored: bool = True
    finding: GuardFinding | None = None


class Steps(Protocol):
    """The steps of a job between decision and end that concern the whole fleet, each of them atomic."""

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        """Claim the job under `token`, unless it has an answer or a living worker has it.

        `despite` is a stored answer that cannot be used, and counts as none. Raises StoreUnavailable if that
        is not known, or the answer cannot be read.
        """

    def released(self, key: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Yield an event that is set, from now on, whenever the claim of `key` may be free."""

    async def depart(self, departure: Departure) -> Departed:
        """Let a request leave: hold its money and count it, unless something of the fleet forbids it.

        Raises StoreUnavailable if that is not known, which is a no, too.
        """

    async def arrive(self, arrival: Arrival) -> Arrived:
        """Book an arrival, however long Redis takes. Booking it twice has the effect of once."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was rejected, and why. `message` is its bytes as they were on the queue.

    If it was too large to be kept whole, they are its head, and `sha256` is the digest of the whole, or of
    its first 64 KiB if it was too large to be read.
    """

    dead_id: str
    reason: str
    problem: str
    task_id: str | None
    queue: str
    rejected_wall_ms: int
    message: bytes
    size_bytes: int
    sha256: str | None = None
