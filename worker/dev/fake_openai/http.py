"""Serves POST /v1/responses: checks the request, plays the behaviour, and tells the journal."""

import asyncio
import hashlib
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from worker.dev.fake_openai.answers import body_for
from worker.dev.fake_openai.behaviour import Behaviour, Play, ReplyScript
from worker.dev.fake_openai.journal import Journal, Reply
from worker.dev.fake_openai.request import Asked, RefusedError, check_key, error_document, read_request
from worker.dev.fake_openai.wire import drip, error, reset, scripted_error, until_cancelled, whole

_PATH = "/v1/responses"


class FakeServer(web.Server):
    """An aiohttp server that reports its connections; the library offers no hook but inheritance."""

    def __init__(self, journal: Journal, script: ReplyScript) -> None:
        # handler_cancellation: a client that hangs up is seen at once, not when the answer is written.
        super().__init__(Responder(journal, script).respond, handler_cancellation=True, access_log=None)
        self._journal = journal

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count the connection in."""
        super().connection_made(handler, transport)
        self._journal.connection_opened()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count the connection out."""
        super().connection_lost(handler, exc)
        self._journal.connection_closed()


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

    def completed(self) -> None:
        self.outcome, self.status = Reply.COMPLETED, 200

    def rejected(self, status: int) -> None:
        self.outcome, self.status = Reply.REJECTED, status


@dataclass(frozen=True, slots=True)
class Responder:
    """Answers the requests of every connection of one server."""

    journal: Journal
    script: ReplyScript

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; its number in the journal is in its `x-request-id`."""
        if (request.method, request.path) != ("POST", _PATH):
            message = f"This stand-in serves POST {_PATH} and nothing else."
            return error(404, error_document(message, "invalid_request_error"), {})
        body = await request.read()
        exchange = _Exchange(request, self.journal.begin(hashlib.sha256(body).hexdigest()))
        try:
            return await self._answer(exchange, body)
        except ConnectionResetError:
            # The client went while we were writing: the request ends as cancelled.
            return web.Response()
        finally:
            self.journal.end(exchange.number, exchange.outcome, exchange.status, exchange.billed_tokens)

    async def _answer(self, exchange: _Exchange, body: bytes) -> web.StreamResponse:
        try:
            check_key(exchange.request.headers.get("Authorization"))
            asked = read_request(body)
        except RefusedError as refused:
            exchange.rejected(refused.status)
            return error(refused.status, refused.document, exchange.headers)
        behaviour = self.script.take()
        if behaviour.delay_seconds:
            await self.script.wait(behaviour.delay_seconds)
        if behaviour.status is not None:
            exchange.rejected(behaviour.status)
            return scripted_error(behaviour, behaviour.status, exchange.headers)
        return await _play(behaviour, asked, exchange)


async def _play(behaviour: Behaviour, asked: Asked, exchange: _Exchange) -> web.StreamResponse:
    if behaviour.play is Play.HANG:
        await until_cancelled()
    answer = body_for(behaviour, asked, exchange.number)
    exchange.billed_tokens = answer.billed_tokens
    if behaviour.play is Play.RESET_AFTER_WORK:
        exchange.outcome = Reply.RESET
        reset(exchange.request)
        await until_cancelled()
    if behaviour.play is Play.DRIP:
        response = await drip(exchange.request, answer, exchange.headers, behaviour.drip_seconds)
        exchange.completed()
        return response
    exchange.completed()
    return whole(answer, exchange.headers)
