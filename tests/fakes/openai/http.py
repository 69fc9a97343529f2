"""Serves POST /v1/responses: checks the request, plays the behaviour, and tells the journal.

GET /v1/models is answered beside it; the journal has neither the request nor its connection.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import socket
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from tests.fakes.openai.answers import PAGE, body_for
from tests.fakes.openai.behaviour import Behaviour, Play, ReplyScript
from tests.fakes.openai.journal import Journal, Reply
from worker.dev.fake_openai.models import MODELS_PATH, models_document
from worker.dev.fake_openai.request import Asked, RefusedError, error_document, read_request
from worker.dev.fake_openai.server import ELSEWHERE, PATH

_DRIP_PIECES = 20
_FLOODS = {Play.GZIP_BOMB, Play.ENDLESS_BODY, Play.ENDLESS_HEADERS}
_TYPES = {429: "requests", 500: "server_error", 503: "server_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: "server_error", 503: "server_error"}


@dataclass(slots=True)
class _Exchange:
    """One request and how it ends: cancelled, until the server has something to send."""

    request: web.BaseRequest
    number: int
    outcome: Reply = Reply.CANCELLED
    status: int | None = None
    billed_tokens: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"x-request-id": f"req_{self.number:032x}"}

    def reject(self, status: int, document: dict[str, Any], **headers: str) -> web.Response:
        self.outcome, self.status = Reply.REJECTED, status
        return web.json_response(document, status=status, headers=self.headers | headers)


class FakeServer(web.Server):
    """An aiohttp server that reports its connections; the library offers no hook but inheritance."""

    def __init__(
        self, journal: Journal, script: ReplyScript, models: Callable[[], Mapping[str, str | None] | None]
    ) -> None:
        # handler_cancellation: a client that hangs up is seen at once, not when the answer is written.
        super().__init__(self._respond, handler_cancellation=True, access_log=None)
        self._journal = journal
        self._script = script
        self._models = models
        self._aside: set[RequestHandler] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count the connection in."""
        super().connection_made(handler, transport)
        self._journal.connection_opened()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count the connection out."""
        super().connection_lost(handler, exc)
        if handler in self._aside:
            self._aside.discard(handler)
        else:
            self._journal.connection_closed()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; its number in the journal is in its `x-request-id`."""
        if (request.method, request.path) == ("GET", MODELS_PATH) and (models := self._models()) is not None:
            return self._listed(request, models)
        if (request.method, request.path) != ("POST", PATH):
            return web.json_response(error_document(ELSEWHERE), status=404)
        body = await request.read()
        exchange = _Exchange(request, self._journal.begin(hashlib.sha256(body).hexdigest()))
        try:
            return await self._answer(exchange, body)
        except ConnectionResetError:
            # The client went while we were writing: the request ends as cancelled.
            return web.Response()
        finally:
            self._journal.end(exchange.number, exchange.outcome, exchange.status, exchange.billed_tokens)

    def _listed(self, request: web.BaseRequest, models: Mapping[str, str | None]) -> web.Response:
        if request.protocol not in self._aside:
            self._journal.forget_connection()
            self._aside.add(request.protocol)
        try:
            check_key(request.headers.get("Authorization"))
        except RefusedError as refused:
            return web.json_response(refused.document, status=refused.status)
        return web.json_response(models_document(models))

    async def _answer(self, exchange: _Exchange, body: bytes) -> web.StreamResponse:
        try:
            check_key(exchange.request.headers.get("Authorization"))
            asked = read_request(body)
        except RefusedError as refused:
            return exchange.reject(refused.status, refused.document)
        behaviour = self._script.take()
        if behaviour.delay_seconds:
            await self._script.wait(behaviour.delay_seconds)
        if behaviour.raw is not None:
            exchange.outcome = Reply.RESET
            return await _raw(exchange.request, behaviour.raw)
        if behaviour.status is not None:
            return _rejected(exchange, behaviour, behaviour.status)
        return await _played(exchange, behaviour, asked)


class KeyRefusedError(RefusedError):
    """The API's error answer to a key."""

    status = 401


def check_key(authorization: str | None) -> None:
    """Accept `Bearer` with any key but `wrong`. Raises KeyRefusedError."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise KeyRefusedError("You didn't provide an API key.")
    if key.strip() == "wrong":
        raise KeyRefusedError("Incorrect API key provided.", code="invalid_api_key")


def _rejected(exchange: _Exchange, behaviour: Behaviour, status: int) -> web.Response:
    if behaviour.play is Play.HTML:
        # Not the API: something on the way to it.
        exchange.outcome, exchange.status = Reply.REJECTED, status
        return web.Response(status=status, body=PAGE, content_type="text/html")
    headers = {}
    if behaviour.retry_after is not None:
        headers["Retry-After"] = behaviour.retry_after
    if behaviour.retry_after_ms is not None:
        headers["retry-after-ms"] = str(behaviour.retry_after_ms)
    code = behaviour.error_code or _CODES.get(status)
    type_ = code if code == "insufficient_quota" else _TYPES.get(status, "invalid_request_error")
    document = error_document(f"The stand-in refuses with {status}.", code=code)
    document["error"]["type"] = type_
    return exchange.reject(status, document, **headers)


async def _raw(request: web.BaseRequest, raw: bytes) -> web.StreamResponse:
    """Send it as it is, past what makes and checks a reply, and close."""
    if request.transport is not None:
        request.transport.write(raw)
        request.transport.close()
    return await _until_cancelled()


async def _played(exchange: _Exchange, behaviour: Behaviour, asked: Asked) -> web.StreamResponse:
    if behaviour.play is Play.HANG:
        await _until_cancelled()
    answer = body_for(behaviour, asked, exchange.number)
    exchange.billed_tokens = answer.billed_tokens
    if behaviour.play is Play.RESET_AFTER_WORK:
        exchange.outcome = Reply.RESET
        _reset(exchange.request)
        await _until_cancelled()
    headers = exchange.headers | {"Content-Type": answer.content_type}
    response: web.StreamResponse
    if behaviour.play in {Play.GZIP, Play.STRANGE_ENCODING}:
        encoding = "gzip" if behaviour.play is Play.GZIP else "x-none"
        headers |= {"Content-Encoding": encoding}
        response = web.Response(body=gzip.compress(answer.content), headers=headers)
    elif behaviour.play in _FLOODS:
        response = await _flood(exchange.request, behaviour.play, headers)
    elif behaviour.play is Play.DRIP:
        response = await _drip(exchange.request, answer.content, headers, behaviour.drip_seconds)
    else:
        response = web.Response(body=answer.content, headers=headers)
    exchange.outcome, exchange.status = Reply.COMPLETED, 200
    return response


async def _flood(request: web.BaseRequest, play: Play, headers: dict[str, str]) -> web.StreamResponse:
    """Send what is small for a server, and has no end or unpacks to 2 GB."""
    if play is Play.ENDLESS_HEADERS:
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 200 OK\r\n")
            while not request.transport.is_closing():
                request.transport.write((b"X-Header: " + b"y" * 1000 + b"\r\n") * 16)
                await asyncio.sleep(0)
        raise ConnectionResetError
    response = web.StreamResponse(headers=headers)
    mega = bytes(1 << 20)
    if play is Play.GZIP_BOMB:
        response.headers["Content-Encoding"] = "gzip"
        packer = zlib.compressobj(wbits=31)
        head = packer.compress(mega) + packer.flush(zlib.Z_FULL_FLUSH)
        again = packer.compress(mega) + packer.flush(zlib.Z_FULL_FLUSH)
        pieces = itertools.chain([head], itertools.repeat(again, 2047))
    else:
        pieces = itertools.repeat(mega)
    await response.prepare(request)
    for each in pieces:
        await response.write(each)
    return response


async def _until_cancelled() -> NoReturn:
    """Wait for the client to go."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _drip(
    request: web.BaseRequest, content: bytes, headers: dict[str, str], seconds: float
) -> web.StreamResponse:
    """Send `content` in 20 pieces over `seconds`; the headers go at once."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(content)
    await response.prepare(request)
    size = -(-len(content) // _DRIP_PIECES)
    for start in range(0, len(content), size):
        await asyncio.sleep(seconds / _DRIP_PIECES)
        await response.write(content[start : start + size])
    return response


def _reset(request: web.BaseRequest) -> None:
    """Drop the connection with a RST: SO_LINGER of 0 seconds throws away what is unsent."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
