"""The closed vocabulary of outcomes, and the exceptions that carry it.

Exception
├── InvalidMessage            the message is not a job spec; the producer's get() raises it
├── StoreUnavailable          Redis could not be asked
├── Deferred                  a job waits for longer than it may take; it goes back to the queue
└── JobEnded                  a job ends here, with an ErrorCode
    ├── Stubbed               a dial, a limit or the mode said no: STUB
    └── Failed                something broke: FAILED
        └── ModelError        a model request broke; knows whether a retry can help
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.ports import TokenUsage

from gates import REASONS
from gates.kill_switch import KillReason


class Status(StrEnum):
    """How a job ended; the words of the result and telemetry contracts."""

    STUB = "STUB"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class ErrorCode(StrEnum):
    """Why a job is not COMPLETED: the closed `errorCode` of telemetry v1, the gates' reasons first."""

    # Code refers to these two by name; type checkers cannot see the gates' other reasons.
    KILL_SWITCH = KillReason.KILL_SWITCH
    KILL_UNVERIFIED = KillReason.KILL_UNVERIFIED
    vars().update({reason.name: reason for reason in REASONS if not isinstance(reason, KillReason)})
    VERBATIM_MODE = "VERBATIM_MODE"
    RUN_LIMIT = "RUN_LIMIT"
    INPUT_TOO_LONG = "INPUT_TOO_LONG"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    UNSUPPORTED_OUTPUT_TYPE = "UNSUPPORTED_OUTPUT_TYPE"
    MISSING_API_KEY = "MISSING_API_KEY"
    OPENAI_TIMEOUT = "OPENAI_TIMEOUT"
    OPENAI_CONNECTION_ERROR = "OPENAI_CONNECTION_ERROR"
    OPENAI_RATE_LIMITED = "OPENAI_RATE_LIMITED"
    OPENAI_QUOTA_EXHAUSTED = "OPENAI_QUOTA_EXHAUSTED"
    OPENAI_AUTH_ERROR = "OPENAI_AUTH_ERROR"
    OPENAI_BAD_REQUEST = "OPENAI_BAD_REQUEST"
    OPENAI_SERVER_ERROR = "OPENAI_SERVER_ERROR"
    OPENAI_BAD_RESPONSE = "OPENAI_BAD_RESPONSE"
    CONTENT_FLAGGED = "CONTENT_FLAGGED"
    OUTPUT_REFUSED = "OUTPUT_REFUSED"
    OUTPUT_TRUNCATED = "OUTPUT_TRUNCATED"
    OUTPUT_NOT_JSON = "OUTPUT_NOT_JSON"
    OUTPUT_SCHEMA_INVALID = "OUTPUT_SCHEMA_INVALID"
    OUTPUT_POLICY_VIOLATION = "OUTPUT_POLICY_VIOLATION"
    INTERNAL_ERROR = "INTERNAL_ERROR"


# FAILED through no fault of the job: sent again, it may be COMPLETED; with some of them only once somebody
# has paid, set the key, or fixed the server.
RETRYABLE = frozenset(
    {
        ErrorCode.MISSING_API_KEY,
        ErrorCode.OPENAI_TIMEOUT,
        ErrorCode.OPENAI_CONNECTION_ERROR,
        ErrorCode.OPENAI_RATE_LIMITED,
        ErrorCode.OPENAI_QUOTA_EXHAUSTED,
        ErrorCode.OPENAI_AUTH_ERROR,
        ErrorCode.OPENAI_SERVER_ERROR,
        ErrorCode.OPENAI_BAD_RESPONSE,
    }
)


class InvalidMessage(Exception):  # noqa: N818 - the producer reads this name, and it says what happened
    """A message that is not a job spec. Its text names the path and the remedy, never the content."""

    # The name that a producer's AsyncResult.get() shows: `slotgen.InvalidMessage`, wherever our packages
    # live.
    __module__ = "slotgen"


class StoreUnavailable(Exception):  # noqa: N818 - says what is the matter
    """The store behind a port did not answer, so what it holds is unknown."""


class Deferred(Exception):  # noqa: N818 - says what happens to the job
    """The job would have to wait for longer than it may, so it goes back unchanged.

    It ends as `otherwise` if it may not wait any longer.
    """

    def __init__(self, otherwise: "Failed") -> None:
        super().__init__(str(otherwise))
        self.otherwise = otherwise


class JobEnded(Exception):  # noqa: N818 - an outcome on its way up, not always an error
    """A job ends with `code`; `detail` is a short reason for the log, never content.

    `rule` is the plain-text rule that the answer broke, if it broke one; `flagged` is what moderation found
    (`ModelAnswer`).
    """

    status: Status

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        rule: str | None = None,
        flagged: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail
        self.rule = rule
        self.flagged = flagged or {}


class Stubbed(JobEnded):
    """A dial, a limit or the job's own mode said no."""

    status = Status.STUB


class Failed(JobEnded):
    """Something broke, and no retry within this job can help."""

    status = Status.FAILED


class ModelError(Failed):
    """One model request broke.

    `retryable`: the same request may succeed later. `retry_after_seconds`: how long the server asked to wait,
    if it did. `billed`: the request may have been processed and charged; `usage` is what the server reported.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        retryable: bool = False,
        retry_after_seconds: float | None = None,
        billed: bool = False,
        usage: "TokenUsage | None" = None,
    ) -> None:
        super().__init__(code, detail)
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.billed = billed
        self.usage = usage
