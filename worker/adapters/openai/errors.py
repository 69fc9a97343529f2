"""Translates every failure of the OpenAI SDK and its transport to the closed error vocabulary."""

import email.utils
import time
from collections.abc import Iterator, Mapping

import aiohttp
import httpx2
import openai

from tasks.errors import ErrorCode, ModelError

# A 429 with one of these codes means that the money is spent, not that the server is busy: no retry can help.
TERMINAL_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    }
)
# Statuses at which the same request may succeed a moment later although the client is asked to change it.
_PASSING = frozenset({408, 409, 425})


def translate(error: BaseException) -> ModelError | None:
    """Return the ModelError that `error` amounts to, or None when it is no failure of a model request.

    Only SDK class names and statuses enter the detail: messages of the API may quote the prompt.
    """
    if isinstance(error, openai.APIStatusError):
        return _status_error(error)
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | OSError):
        return _lost(error)
    if isinstance(error, openai.OpenAIError | httpx2.HTTPError | ValueError):
        # Answers that the SDK itself cannot read, and its own refusals to send.
        return ModelError(ErrorCode.OPENAI_BAD_RESPONSE, type(error).__name__, billed=True)
    return None


def _lost(error: BaseException) -> ModelError:
    """Return the error of a request without an answer.

    It may have arrived and been worked on: unless the connection was never made, it counts as charged.
    """
    causes = list(_causes(error))
    timed_out = isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError)
    # The SDK's aiohttp transport calls every broken connection a ConnectTimeout; the causes know better.
    broken = any(isinstance(each, aiohttp.ClientConnectionError) for each in causes)
    broken = broken and not any(isinstance(each, aiohttp.ServerTimeoutError) for each in causes)
    code = ErrorCode.OPENAI_TIMEOUT if timed_out and not broken else ErrorCode.OPENAI_CONNECTION_ERROR
    never_sent = any(isinstance(each, aiohttp.ClientConnectorError) for each in causes)
    return ModelError(code, type(causes[-1]).__name__, retryable=True, billed=not never_sent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status_error(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    detail = f"HTTP {status}" + (f" {error.code}" if _is_word(error.code) else "")
    if status == 429:  # noqa: PLR2004 - the status is its own name
        if error.code in TERMINAL_CODES or error.type in TERMINAL_CODES:
            return ModelError(ErrorCode.OPENAI_QUOTA_EXHAUSTED, detail)
        wait = retry_after_seconds(error.response.headers)
        return ModelError(ErrorCode.OPENAI_RATE_LIMITED, detail, retryable=True, retry_after_seconds=wait)
    if status in {401, 403}:
        return ModelError(ErrorCode.OPENAI_AUTH_ERROR, detail)
    if status >= 500 or status in _PASSING:  # noqa: PLR2004 - the class of server errors
        wait = retry_after_seconds(error.response.headers)
        return ModelError(ErrorCode.OPENAI_SERVER_ERROR, detail, retryable=True, retry_after_seconds=wait)
    return ModelError(ErrorCode.OPENAI_BAD_REQUEST, detail)


def _is_word(code: str | None) -> bool:
    return bool(code) and str(code).isidentifier() and len(str(code)) <= 64  # noqa: PLR2004 - a word, not a text


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks to wait: `retry-after-ms`, else Retry-After as seconds or HTTP date.

    Source: RFC 9110, section 10.2.3. None when absent, negative or unreadable.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        # NaN fails both comparisons.
        return seconds if 0 <= seconds < float("inf") else None
    try:
        wall = email.utils.parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, TypeError):
        return None
    return max(wall.timestamp() - time.time(), 0.0)
