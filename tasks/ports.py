"""What the use case needs from the outside; the adapters in `worker/adapters` provide it."""

from dataclasses import dataclass
from typing import Any, Protocol

from gates import Controls
from tasks.errors import ErrorCode


class ControlSource(Protocol):
    """The live dials. `at_once` is how many reads one round trip may have now (1 or more)."""

    @property
    def at_once(self) -> int:
        """Return what keeps a round trip far shorter than a read's deadline, as the last ones went."""

    def read(self) -> Controls:
        """Return the dials as they are now. Never raises: what cannot be read is a brake UNVERIFIED."""

    def read_each(self, number: int) -> list[Controls]:
        """Return `number` reads, each one in its own right, from one round trip. Never raises."""


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
    """Tokens of one request, and the service tier that the server named for it, None where it named none.

    `input_tokens` includes the cached and cache-written ones.
    """

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    service_tier: str | None = None

    def served_as(self, asked: str | None) -> bool:
        """Whether the request was served by the tier that was asked for; where none was, any will do."""
        return asked is None or self.service_tier == asked


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came back. `usage` is None when the server did not say what it charged.

    `text` is None when there is no text to read: then `refused` or `truncated` says why.
    """

    text: str | None
    refused: bool
    truncated: bool
    usage: TokenUsage | None
    request_id: str | None


class Model(Protocol):
    """A language model, on one event loop; a provider is one adapter of this."""

    async def ready(self) -> None:
        """Return once a request can be sent: the first ones may come before its client is open.

        Raises what hinders it, which is a bug or a broken installation, and no answer of the model.
        """

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        """Send `request` once, without retries. Raises ModelError for every way in which no answer came."""

    def abort_connections(self) -> None:
        """Close every connection at once, for a halt; the next request opens new ones."""

    async def close(self) -> None:
        """End for good what it has open."""


class AnswerStore(Protocol):
    """Completed answers, by the hash of the job that they answer."""

    async def put(self, key: str, value: Any) -> bool:
        """Keep `value`, however long Redis takes; return False when Redis refuses it for good."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker finds that asks for a job: it is `ours`, or there is an `answer`, or someone has it.

    `stored` is the answer's bytes, empty where there is none.
    """

    ours: bool
    stored: bytes = b""
    answer: Any | None = None


class Claims(Protocol):
    """Who works on a job, and how often it was tried; the same for every worker."""

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        """Claim the job under `token`, unless it has an answer or a living worker has it.

        `despite` is a stored answer that cannot be used: it counts as none.

        Raises StoreUnavailable when that is not known, or the answer cannot be read.
        """

    async def release(self, key: str, token: str, *, concluded: bool) -> None:
        """Give the claim back if `token` still holds it; forget the attempts of a job that is `concluded`.

        Waits for Redis, however long.
        """

    async def end_attempt(self, key: str, begun: int) -> None:
        """Take back the attempt that was number `begun`: it was refused before any work was done.

        Waits for Redis, however long. Twice is once.
        """

    async def begin_attempt(self, key: str) -> int:
        """Note that a request for the job is about to leave; return how many were begun without an outcome.

        Raises StoreUnavailable when the note could not be written.
        """


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What the fleet knows of a model's server. Nothing may leave for `wait_seconds` (0: at once).

    `refused` is the errorCode for which the whole account is refused; then only a `probe` may leave.
    """

    wait_seconds: float
    refused: ErrorCode | None
    probe: bool


class RateLimits(Protocol):
    """What the servers have asked of any worker of the fleet. All but `state` wait for Redis."""

    async def state(self, model: str) -> RateLimitState:
        """Return what holds for a request to `model` now; while the breaker is open, one gets the probe.

        Raises StoreUnavailable.
        """

    async def cool_down(self, model: str, seconds: float) -> None:
        """Let no request to `model` leave for `seconds`; a longer cooldown stays."""

    async def open_breaker(self, code: ErrorCode) -> None:
        """Let no request leave but a probe now and then: the account is refused with `code`."""

    async def close_breaker(self) -> None:
        """Let requests leave again: a probe was answered."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request, in nano-dollars. After `seconds` unsettled it counts as spent."""

    reservation_id: str
    amount_nano_usd: int
    model: str
    seconds: float


class Budget(Protocol):
    """The fleet's account, and the spend cap on it. Amounts are integer nano-dollars."""

    async def reserve(self, reservation: Reservation) -> bool:
        """Set the amount aside; return False when the cap does not cover it.

        Raises StoreUnavailable: it is not known, which is a no, too.
        """

    async def standing(self) -> tuple[int, int]:
        """Return the cap in force, below 0 for none that can be read, and what is used of it in this window.

        Raises StoreUnavailable.
        """

    async def settle(self, reservation_id: str, spent_nano_usd: int, *, known: bool) -> None:
        """Turn it into `spent_nano_usd`; not `known` is what an unknown outcome may have cost at most.

        Waits for Redis, however long. Settling twice, or a reservation that is gone, changes nothing.
        """


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was rejected, and why. `message` is its bytes as they were on the queue.

    Of one that is too large to be kept whole they are the head; `sha256` is then the digest of the whole, or
    of its first 64 KiB where it was too large to be read.
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
