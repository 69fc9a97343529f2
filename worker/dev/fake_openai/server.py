"""Plays OpenAI's Responses API on loopback: refuses what the real one would, and answers well, at no cost."""

import asyncio
import threading
import uuid
from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import Self

from aiohttp import web

from worker.dev.fake_openai.answer import good_text, response_document
from worker.dev.fake_openai.models import MODELS_PATH, models_document, shipped_models
from worker.dev.fake_openai.request import RefusedError, error_document, read_request

PATH = "/v1/responses"
ELSEWHERE = f"This stand-in serves POST {PATH} and GET {MODELS_PATH}, and nothing else."
_HOST = "127.0.0.1"
_START_SECONDS = 10.0
_BACKLOG = 1024
# Requests still in flight when a server stops are cancelled after this; 0 would mean never.
_SHUTDOWN_SECONDS = 0.05


class LoopbackServer(ABC):
    """Serves on 127.0.0.1, from a thread of its own, inside `with`."""

    # 0 takes a free port, and is then replaced by it.
    port = 0
    _thread: threading.Thread
    _loop: asyncio.AbstractEventLoop
    _stop_asked: asyncio.Event

    @abstractmethod
    def web_server(self) -> web.Server:
        """Return what answers the requests; called in the loop that serves."""

    @property
    def base_url(self) -> str:
        """What to set as OPENAI_BASE_URL."""
        return f"http://{_HOST}:{self.port}/v1"

    def __enter__(self) -> Self:
        """Serve, and return once connections are accepted. Raises OSError when the port is taken."""
        serving: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(serving,), name="fake-openai", daemon=True)
        self._thread.start()
        serving.result(_START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and end the thread; requests in flight are cancelled."""
        self._loop.call_soon_threadsafe(self._stop_asked.set)
        self._thread.join()

    def _run(self, serving: Future[None]) -> None:
        try:
            asyncio.run(self._serve(serving))
        except OSError as failure:
            serving.set_exception(failure)

    async def _serve(self, serving: Future[None]) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(self.web_server(), shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, _HOST, self.port, backlog=_BACKLOG)
            await site.start()
            self.port = site.port
            serving.set_result(None)
            await self._stop_asked.wait()
        finally:
            transports = [each.transport for each in runner.server.connections] if runner.server else []
            await runner.cleanup()
            # Closed, but not as long as there is something left to say to a client that does not listen.
            for each in filter(None, transports):
                each.abort()
            await asyncio.sleep(0)


class FakeOpenAI(LoopbackServer):
    """The stand-in, inside `with FakeOpenAI() as fake_openai:`. Everything public is safe in any thread."""

    def __init__(self) -> None:
        # How long each answer waits that begins to wait from now on.
        self.delay_seconds = 0.0
        self._in_flight = 0
        self._changed = threading.Condition()

    def wait_for_calls(self, number: int, timeout_seconds: float = 10.0) -> None:
        """Block until `number` requests or more wait for their answers. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._in_flight >= number, timeout_seconds):
                raise TimeoutError(
                    f"after {timeout_seconds:g} s {self._in_flight} calls are in flight, not {number}"
                )

    def web_server(self) -> web.Server:
        """Return what checks and answers the requests."""
        # handler_cancellation: a client that hangs up is seen at once, not when its delay is over.
        return web.Server(self._respond, handler_cancellation=True, access_log=None)

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        suffix = uuid.uuid4().hex
        headers = {"x-request-id": f"req_{suffix}"}
        if (request.method, request.path) == ("GET", MODELS_PATH):
            return web.json_response(models_document(shipped_models()), headers=headers)
        if (request.method, request.path) != ("POST", PATH):
            return web.json_response(error_document(ELSEWHERE), status=404, headers=headers)
        try:
            asked = read_request(await request.read())
        except RefusedError as refused:
            return web.json_response(refused.document, status=refused.status, headers=headers)
        self._count(1)
        try:
            await asyncio.sleep(self.delay_seconds)
        finally:
            self._count(-1)
        return web.json_response(response_document(asked, good_text(asked), suffix), headers=headers)

    def _count(self, change: int) -> None:
        with self._changed:
            self._in_flight += change
            self._changed.notify_all()
