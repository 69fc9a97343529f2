"""Translates every failure of the OpenAI SDK and its transport to the closed error vocabulary."""

import email.utils
import re
import time
from collections.abc import Iterator, Mapping

import aiohttp
import httpx2
import openai

from tasks.errors import ErrorCode, ModelError
from worker.adapters.openai.body import BodyRefused

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
# A 403 with one of these codes refuses the account, and so every request; any other may come from a firewall
# that dislikes a single prompt.
ACCOUNT_CODES = frozenset(
    {"account_deactivated", "billing_not_active", "unsupported_country_region_territory"}
)
_NUMBER = re.compile(r"\+?[0-9]{1,400}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,4})?", re.ASCII)
# No server may hold a fleet back for longer: its word may be a mistake or a forgery.
_LONGEST_WAIT_SECONDS = 3600.0
# What of a request the executor config can leave out, by the field that sends it: not every server takes it.
_OPTIONAL = {
    "moderation": "moderation",
    "prompt_cache_options": "promptCaching",
    "reasoning": "reasoningEffort",
    "service_tier": "serviceTier",
    "temperature": "temperature",
    "top_p": "topP",
}
# Statuses at which the same request may succeed a moment later although the client is asked to change it.
_PASSING = frozenset({408, 409, 425})


def translate(error: Exception) -> ModelError:
    """Return the ModelError for an error in sending a request or reading the response.

    Only class names, statuses and known words enter the detail: messages of the API may quote the prompt.
    """
    if isinstance(error, openai.APIStatusError):
        return _status_error(error)
    if any(isinstance(each, BodyRefused) for each in _causes(error)):
        return ModelError(ErrorCode.OPENAI_BAD_RESPONSE, BodyRefused.__name__, billed=True)
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | OSError):
        return _lost(error)
    # Answers that the SDK or its transport cannot read: bad nesting, headers and dates raise all sorts of
    # errors.
    return ModelError(ErrorCode.OPENAI_BAD_RESPONSE, type(error).__name__, billed=True)


def _lost(error: BaseException) -> ModelError:
    """Return the error of a request without an answer.

    It may have arrived and been processed: unless the connection was never made, it counts as charged.
    """
    causes = list(_causes(error))
    timed_out = isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError)
    # The SDK's aiohttp transport calls every broken connection a ConnectTimeout; the causes know better.
    broken = any(isinstance(each, aiohttp.ClientConnectionError) for each in causes)
    broken = broken and not any(isinstance(each, aiohttp.ServerTimeoutError) for each in causes)
    code = ErrorCode.OPENAI_TIMEOUT if timed_out and not broken else ErrorCode.OPENAI_CONNECTION_ERROR
    never_sent = any(
        isinstance(each, aiohttp.ClientConnectorError | httpx2.UnsupportedProtocol) for each in causes
    )
    return ModelError(code, type(causes[-1]).__name__, retryable=True, billed=not never_sent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status_error(error: openai.APIStatusError) -> ModelError:
    status, code = error.status_code, word(error.code)
    detail = f"HTTP {status}" + (f" {code}" if code else "")
    if status == 429:  # noqa: PLR2004 - the status is its own name
        if code in TERMINAL_CODES or word(error.type) in TERMINAL_CODES:
            return ModelError(ErrorCode.OPENAI_QUOTA_EXHAUSTED, detail)
        wait = retry_after_seconds(error.response.headers)
        return ModelError(ErrorCode.OPENAI_RATE_LIMITED, detail, retryable=True, retry_after_seconds=wait)
    if status == 401 or code in ACCOUNT_CODES:  # noqa: PLR2004 - the status is its own name
        return ModelError(ErrorCode.OPENAI_AUTH_ERROR, detail)
    if status >= 500 or status in _PASSING:  # noqa: PLR2004 - the class of server errors
        wait = retry_after_seconds(error.response.headers)
        return ModelError(ErrorCode.OPENAI_SERVER_ERROR, detail, retryable=True, retry_after_seconds=wait)
    parameter = error.param.partition(".")[0] if isinstance(error.param, str) else ""
    if setting := _OPTIONAL.get(parameter):
        detail += f": the server refuses {parameter}; change or remove {setting} in the executor config"
    return ModelError(ErrorCode.OPENAI_BAD_REQUEST, detail)


def word(code: object) -> str:
    """Return `code` if it is a word that may be logged, else "": servers put anything there."""
    fits = isinstance(code, str) and len(code) <= 64 and code.isascii()  # noqa: PLR2004 - a word, not a text
    return code if fits and isinstance(code, str) and code.isidentifier() else ""


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks to wait: `retry-after-ms`, else Retry-After as seconds or HTTP date.

    Source: RFC 9110, section 10.2.3. None when absent, negative or unreadable; an hour when it asks for more.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        # Not what Python alone takes for a number.
        if _NUMBER.fullmatch(said) and (seconds := float(said) / unit) < float("inf"):
            return min(seconds, _LONGEST_WAIT_SECONDS)
    try:
        wall = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return min(max(wall - time.time(), 0.0), _LONGEST_WAIT_SECONDS)
