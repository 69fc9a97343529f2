"""Sends one request to the OpenAI Responses API through the official SDK, and reads the answer itself.

`responses.parse` loses the usage of a truncated answer, and bad 200s escape the SDK's own errors: so the
body is taken raw and read here. Retries are off: one layer, ours, owns them.
"""

import asyncio
import json
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import chain
from typing import Any

import aiohttp
import httpx2
import openai

from tasks.errors import ErrorCode, ModelError
from tasks.ports import FLAGS, NOT_JUDGED, ModelAnswer, ModelRequest, TokenUsage
from worker.adapters.openai.body import BodyBound
from worker.adapters.openai.errors import translate, word
from worker.settings.settings import is_loopback

# What a failed response calls its error if the next attempt may succeed.
_PASSING_FAILURES = ("server_error", "rate_limit_exceeded", "vector_store_timeout")
# A name, and no text: it is shown.
_MODEL_NAME = re.compile(r"[\w.:/@-]{1,64}", re.ASCII)
# OpenAI's, or a UUID. It is logged, and a gateway may put anything there, the request's own key too.
_REQUEST_ID = re.compile(r"req_[0-9a-zA-Z]{1,60}|[0-9a-fA-F-]{32,36}", re.ASCII)
# No request uses more tokens: the largest context of any model is a tenth of this.
_MOST_TOKENS = 10_000_000
# Ordinary text has four to a token, and indented code eight.
_TOKEN_CHARACTERS = 32


def open_client(api_key: str, base_url: str | None, max_connections: int) -> openai.AsyncOpenAI:
    """Return the one client of a process; it may be opened in any thread, after any fork.

    It has no session until its first request, and that belongs to the loop which sends it.

    The aiohttp transport costs 1.9-2.2 ms of CPU a call at 400 in flight, where the default one costs 8-11;
    its connection limit must cover the calls in flight, or they run in waves.
    """
    limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    client: httpx2.AsyncClient = openai.DefaultAioHttpClient(
        limits=limits,
        timeout=None,
        follow_redirects=False,
        headers={"Accept-Encoding": "gzip"},
        event_hooks={"response": [BodyBound()]},
        # A server's cookies are neither kept nor sent: one that cannot be sent would fail every call.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # A proxy in the environment is for the way out, not for this machine.
        trust_env=not is_loopback(base_url or ""),
    )
    for each in _transports(client):
        each.client = partial(_open_session, each)
    return openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, http_client=client)


class _Response(aiohttp.ClientResponse):
    """A response without its reason phrase: the SDK's transport fails on bytes in it that are not UTF-8."""

    reason = property(lambda _: None, lambda _, __: None)


def _transports(client: httpx2.AsyncClient) -> list[Any]:
    """Return the direct one and those through proxies; the SDK hides them, and a test checks their names."""
    found = [client._transport, *client._mounts.values()]  # noqa: SLF001 - see above
    return [each for each in found if hasattr(each, "client")]


def _open_session(transport: Any) -> aiohttp.ClientSession:
    """Return the session that the SDK's transport would open, with responses of ours."""
    transport.client = None
    session: aiohttp.ClientSession = transport.get_client()
    session._response_class = _Response  # noqa: SLF001 - the SDK leaves no other way
    return session


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """The model behind one AsyncOpenAI client.

    `count_request(outcome, request, usage, seconds)` gets every request once: outcome is "ok", an
    errorCode, or "cancelled"; `in_flight(change)` gets +1 and -1.
    """

    client: openai.AsyncOpenAI
    count_request: Callable[[str, ModelRequest, TokenUsage | None, float], None]
    in_flight: Callable[[int], None]

    async def ready(self) -> None:
        """Return at once: the client opens its connections with the first requests."""

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        """Send `request` once. Raises ModelError if no answer came, for whatever reason."""
        loop = asyncio.get_running_loop()
        began_mono = loop.time()
        outcome, usage = "cancelled", None
        self.in_flight(+1)
        try:
            answer = await self._respond(request)
        except ModelError as error:
            outcome, usage = error.code.value, error.usage
            raise
        else:
            outcome, usage = "ok", answer.usage
            return answer
        finally:
            self.in_flight(-1)
            self.count_request(outcome, request, usage, loop.time() - began_mono)

    def abort_connections(self) -> None:
        """Close every connection of the client at once, from any thread; the next request opens new ones.

        For a halt: what is in flight must be cancelled beside it, or it sees a broken connection.
        """
        # The SDK's client hides its aiohttp sessions, and those their connections; a test checks these names.
        for transport in _transports(self.client._client):  # noqa: SLF001 - see above
            if isinstance(transport.client, aiohttp.ClientSession) and transport.client.connector:
                _shut_down(transport.client.connector)

    async def _respond(self, request: ModelRequest) -> ModelAnswer:
        parameters = _parameters(request)
        try:
            # The SDK's own timeout is per read, so a slow drip outlives it: this one is for the whole call.
            async with asyncio.timeout(request.timeout_seconds):
                # The SDK's own way for a body that is complete: `responses.create` walks through the schema
                # in it for types to transform, which took a third of the call's CPU, and changes nothing.
                response = await self.client.post("/responses", cast_to=httpx2.Response, body=parameters)
                body = await response.aread()
        except Exception as error:  # noqa: BLE001 - whatever the server's bytes made of it
            broken = translate(error)
        else:
            moderated = "moderation" in request.options
            answer = read_answer(body, response.headers.get("x-request-id"), moderated=moderated)
            if len(answer.text or "") <= request.max_output_tokens * _TOKEN_CHARACTERS:
                return answer
            # Hundreds that wait for their judgement would take more memory than a worker has.
            detail = "the answer is longer than its tokens can be"
            broken = ModelError(ErrorCode.OPENAI_BAD_RESPONSE, detail, billed=True, usage=answer.usage)
            del answer, body, response
        # Raised out here it has no context, whose frames would keep what was read alive.
        raise broken


def _shut_down(connector: aiohttp.BaseConnector) -> None:
    idle = chain(*map(tuple, tuple(connector._conns.values())))  # noqa: SLF001 - a test checks these names
    for protocol in (*connector._acquired, *(each for each, _ in idle)):  # noqa: SLF001 - see above
        # Its own close() waits for the loop's turn and for what is unsent. The loop may have closed it.
        with suppress(AttributeError, OSError):
            protocol.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # see above


def _parameters(request: ModelRequest) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "model": request.model,
        "instructions": request.instructions,
        "input": request.input_text,
        "max_output_tokens": request.max_output_tokens,
        "store": False,
        "text": {
            "format": {
                "type": "json_schema",
                "name": request.output_name,
                "schema": request.wire_schema,
                "strict": True,
            }
        },
    }
    # Newer models reject sampling parameters that they do not know: only what the config sets is sent.
    options = dict(request.options)
    effort = options.pop("reasoning_effort", None)
    return parameters | options | ({"reasoning": {"effort": effort}} if effort else {})


def read_answer(body: bytes, request_id: str | None, *, moderated: bool = False) -> ModelAnswer:
    """Return what a 200 body says, the answer to a request that was to be `moderated` or not.

    Raises:
        ModelError: OPENAI_BAD_RESPONSE for HTML, `null`, broken JSON or a shape that is no response;
            OPENAI_SERVER_ERROR or OPENAI_BAD_REQUEST when the response itself says it failed.

    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _bad_response("the body is not JSON") from None
    if not isinstance(document, dict) or document.get("object") != "response":
        raise _bad_response("the body is not a response object")
    status, flagged = document.get("status"), _flagged(document.get("moderation")) if moderated else {}
    # A flag is what there is to know, whatever else is missing: the same request would be flagged again.
    is_flagged = any(NOT_JUDGED not in found for found in flagged.values())
    if status == "failed" and not is_flagged:
        raise _failed(document)
    if status not in ("completed", "incomplete", "failed"):
        raise _bad_response("the response has not ended")
    messages = [each for each in _objects(document.get("output")) if each.get("type") == "message"]
    # Newer models comment on their work in messages of their own.
    final = [each for each in messages if each.get("phase") == "final_answer"]
    answers = final or [each for each in messages if each.get("phase") != "commentary"]
    parts = [part for each in answers for part in _objects(each.get("content"))]
    said = [part.get("text") for part in parts if part.get("type") == "output_text"]
    texts = [text for text in said if isinstance(text, str)]
    refused = any(part.get("type") == "refusal" for part in parts)
    reason = document.get("incomplete_details")
    filtered = isinstance(reason, dict) and reason.get("reason") == "content_filter"
    truncated = status == "incomplete" and not filtered
    if not (texts or refused or truncated or filtered or is_flagged):
        raise _bad_response("the response carries no text")
    # Some text was produced, so some tokens were used.
    least = 1 if any(texts) or refused else 0
    name = document.get("model")
    return ModelAnswer(
        text="".join(texts) if texts else None,
        refused=refused or filtered,
        truncated=truncated,
        usage=_usage(document, least),
        request_id=request_id if request_id and _REQUEST_ID.fullmatch(request_id) else None,
        flagged=flagged,
        model=name if isinstance(name, str) and _MODEL_NAME.fullmatch(name) else None,
    )


def _flagged(moderation: Any) -> dict[str, Sequence[str]]:
    """Return what speaks against the input and the output; only a whole result without a flag is nothing."""
    results = moderation if isinstance(moderation, dict) else {}
    found = {part: _flags(results.get(part)) for part in ("input", "output")}
    return {part: flags for part, flags in found.items() if flags}


def _flags(result: Any) -> Sequence[str]:
    if not isinstance(result, dict) or result.get("type") != "moderation_result":
        return (NOT_JUDGED,)  # an error object, or nothing
    flagged, categories = result.get("flagged"), result.get("categories")
    if not isinstance(flagged, bool) or not isinstance(categories, dict):
        return (NOT_JUDGED,)
    # A category that this version does not know is one all the same.
    known = {name if name in FLAGS else "other" for name, holds in categories.items() if holds}
    return sorted(known) or (("other",) if flagged else ())


def _failed(document: dict[str, Any]) -> ModelError:
    error, usage = document.get("error"), _usage(document, 0)
    code = error.get("code") if isinstance(error, dict) else None
    # After any other code the same request would fail again.
    passes = code is None or code in _PASSING_FAILURES
    kind = ErrorCode.OPENAI_SERVER_ERROR if passes else ErrorCode.OPENAI_BAD_REQUEST
    return ModelError(kind, "the response failed", retryable=passes, billed=True, usage=usage)


def _bad_response(detail: str) -> ModelError:
    return ModelError(ErrorCode.OPENAI_BAD_RESPONSE, detail, billed=True)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _usage(document: dict[str, Any], least: int) -> TokenUsage | None:
    """Return the usage that the response reports, or None if its figures cannot be believed.

    Then the worst case is charged. `least` is the smallest possible number of tokens in and out.
    """
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    figures = (
        usage.get("input_tokens"),
        details.get("cached_tokens", 0),
        details.get("cache_write_tokens", 0),
        usage.get("output_tokens"),
    )
    # A bool is an int to Python, and `true` is no number of tokens.
    if not all(type(each) is int and 0 <= each <= _MOST_TOKENS for each in figures):
        return None
    tier = document.get("service_tier")
    used = TokenUsage(*figures, None if tier is None else word(tier) or "unreadable")  # type: ignore[arg-type]  # all four were just shown to be whole numbers
    # The cached and the cache-written tokens are part of the input's.
    if used.cached_input_tokens + used.cache_write_tokens > used.input_tokens:
        return None
    return used if min(used.input_tokens, used.output_tokens) >= least else None
