"""Puts an answer or an error of the OpenAI stand-in on the wire, in one piece, in drops, or not at all."""

import asyncio
import json
import socket
import struct
from typing import Any

from aiohttp import web

from worker.dev.fake_openai.answers import Body
from worker.dev.fake_openai.behaviour import Behaviour
from worker.dev.fake_openai.request import error_document

_DRIP_PIECES = 20
_TYPES = {429: "requests", 500: "server_error", 503: "server_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: "server_error", 503: "server_error"}


async def until_cancelled() -> None:
    """Wait for the client to go."""
    await asyncio.Event().wait()


def whole(answer: Body, headers: dict[str, str]) -> web.Response:
    """Return `answer` with a 200."""
    return web.Response(body=answer.content, headers=headers | {"Content-Type": answer.content_type})


async def drip(
    request: web.BaseRequest, answer: Body, headers: dict[str, str], seconds: float
) -> web.StreamResponse:
    """Send `answer` in 20 pieces over `seconds`; the headers go at once.

    Raises ConnectionResetError when the client goes meanwhile.
    """
    response = web.StreamResponse(headers=headers | {"Content-Type": answer.content_type})
    response.content_length = len(answer.content)
    await response.prepare(request)
    size = -(-len(answer.content) // _DRIP_PIECES)
    for start in range(0, len(answer.content), size):
        await asyncio.sleep(seconds / _DRIP_PIECES)
        await response.write(answer.content[start : start + size])
    return response


def reset(request: web.BaseRequest) -> None:
    """Drop the connection with a RST: SO_LINGER of 0 seconds throws away what is unsent."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


def scripted_error(behaviour: Behaviour, status: int, headers: dict[str, str]) -> web.Response:
    """Return the API error that `behaviour` asks for, with its Retry-After headers."""
    headers = dict(headers)
    if behaviour.retry_after is not None:
        headers["Retry-After"] = behaviour.retry_after
    if behaviour.retry_after_ms is not None:
        headers["retry-after-ms"] = str(behaviour.retry_after_ms)
    code = behaviour.error_code or _CODES.get(status)
    type_ = (
        "insufficient_quota" if code == "insufficient_quota" else _TYPES.get(status, "invalid_request_error")
    )
    return error(status, error_document(f"The stand-in refuses with {status}.", type_, code=code), headers)


def error(status: int, document: dict[str, Any], headers: dict[str, str]) -> web.Response:
    """Return an API error with the body `document`."""
    content = json.dumps(document).encode()
    return web.Response(status=status, body=content, content_type="application/json", headers=headers)
