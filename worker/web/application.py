"""`slotgen web`: the page, its halt button, its login, and the alert webhook, as one ASGI application."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from telemetry import emit
from telemetry.error_location import error_location
from worker.web.access import SESSION_SECONDS, Access, Visitor
from worker.web.alert_webhook import MAX_BODY_BYTES, SENDING, AlertWebhook
from worker.web.allowance import Allowance
from worker.web.door import Door
from worker.web.halting import HaltButton
from worker.web.page import Pages
from worker.web.status import Status, StatusReader, Unreadable

_log = logging.getLogger("slotgen.web")
_MAX_FORM_BYTES = 8192
_MAX_REASON = 300
# How long a body may take, and the browser waits to be told how the halt went.
_BODY_SECONDS, _HALT_SECONDS = 3.0, 4.5
_TO_PAGE, _TO_LOGIN = "/", "/login"
# One for each connection that there can be: no halt waits for another one.
_MOST_HALTS = 64


@dataclass(slots=True)
class Application:
    """What answers each route; `cookie` is the name of the session's cookie, without its prefix."""

    access: Access
    button: HaltButton
    status: StatusReader
    pages: Pages
    webhook: AlertWebhook | None
    cookie: str
    refusals: Allowance = field(default_factory=Allowance)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_MOST_HALTS, "halts"))

    def asgi(self, origins: dict[str, str]) -> ASGIApp:
        """Return the application for requests to the hosts of `origins`."""
        routes = [
            Route("/", self._page, methods=["GET"]),
            Route("/", self._press, methods=["POST"]),
            Route("/login", self._login_form, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
        ]
        if self.webhook:
            routes.append(Route("/halt", self._alert, methods=sorted(SENDING)))
        starlette = Starlette(routes=routes, exception_handlers={404: self._not_here, 405: self._not_here})
        return Door(starlette, origins, frozenset({"/halt"}), self.pages.style)

    def close(self) -> None:
        """Stop what goes on in threads."""
        self.button.close()
        self.status.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _page(self, request: Request) -> Response:
        visitor = self._visitor(request)
        if visitor is None:
            return _to(_TO_LOGIN)
        asks_reason = "reason" in request.query_params
        try:
            found: Status | Unreadable = await self.status()
            return HTMLResponse(self.pages.page(found, self.button, visitor, asks_reason=asks_reason))
        except Exception as error:  # noqa: BLE001 - whatever broke, the button is there
            emit(_log, logging.ERROR, "web_page_broke", **error_location(error))
            broken = Unreadable("this page broke, which is a bug; see `slotgen status`")
            return HTMLResponse(self.pages.page(broken, self.button, visitor, asks_reason=asks_reason))

    async def _press(self, request: Request) -> Response:
        visitor, form = self._visitor(request), await _form(request)
        if visitor is None:
            return _to(_TO_LOGIN)
        if not _is_of(visitor, form):
            return _refusal("this form is out of date; open the page again, and press its button")
        loop, tried = asyncio.get_running_loop(), asyncio.Event()
        reason = " ".join(form.get("reason", "").split())[:_MAX_REASON]
        self._threads.submit(
            self.button.press, visitor.actor, reason, lambda: loop.call_soon_threadsafe(tried.set)
        )
        # The page says how far it is.
        await _at_most(_HALT_SECONDS, tried.wait)
        return _to(_TO_PAGE)

    async def _login_form(self, request: Request) -> Response:
        return _to(_TO_PAGE) if self._visitor(request) else HTMLResponse(self.pages.login())

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        session = self.access.log_in(form.get("name", ""), form.get("token", ""))
        if session is None:
            # A right token is let in however many wrong ones come: nobody is kept from halting.
            left_out = self.refusals.take()
            if left_out is None:
                many = self.pages.login(refused="There are too many wrong logins; wait a minute.")
                return HTMLResponse(many, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "60"})
            emit(_log, logging.WARNING, "web_login_refused", unlogged_before=left_out)
            wrong = self.pages.login(refused="The token is not this page's, or this cannot be your name.")
            return HTMLResponse(wrong, HTTPStatus.FORBIDDEN)
        answer = _to(_TO_PAGE)
        answer.set_cookie(self._cookie(request), session, SESSION_SECONDS, **_how(request))
        return answer

    async def _log_out(self, request: Request) -> Response:
        visitor = self._visitor(request)
        if visitor and not _is_of(visitor, await _form(request)):
            return _refusal("this form is out of date; open the page again")
        self.access.log_out(request.cookies.get(self._cookie(request), ""))
        answer = _to(_TO_LOGIN)
        answer.delete_cookie(self._cookie(request), **_how(request))
        return answer

    async def _alert(self, request: Request) -> Response:
        assert self.webhook is not None  # or there is no such route
        refusal = self.webhook.refusal(request.headers.get("authorization", ""))
        if refusal is None:
            body = await _body(request, MAX_BODY_BYTES)
            loop = asyncio.get_running_loop()
            refusal = await loop.run_in_executor(self._threads, self.webhook.answer, body)
        status, document = refusal
        return JSONResponse(document, status)

    async def _not_here(self, request: Request, error: Exception) -> Response:
        # A stranger learns nothing, not even what there is.
        if self._visitor(request) is None:
            return _to(_TO_LOGIN)
        return PlainTextResponse("there is no such page\n", getattr(error, "status_code", 404))

    def _visitor(self, request: Request) -> Visitor | None:
        peer = request.client.host if request.client else ""
        header = self.access.proxy.header if self.access.proxy else ""
        named = request.headers.getlist(header) if header else []
        return self.access.visitor(peer, named, request.cookies, self._cookie(request))

    def _cookie(self, request: Request) -> str:
        # A cookie of this prefix cannot be set from another host, nor without TLS.
        return f"__Host-{self.cookie}" if _is_encrypted(request) else self.cookie


def _is_encrypted(request: Request) -> bool:
    return str(request.scope["origin"]).startswith("https:")


def _how(request: Request) -> dict[str, Any]:
    return {"path": "/", "secure": _is_encrypted(request), "httponly": True, "samesite": "strict"}


def _is_of(visitor: Visitor, form: dict[str, str]) -> bool:
    return hmac.compare_digest(form.get("form", "").encode(), visitor.form_token.encode())


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def _refusal(why: str) -> Response:
    return PlainTextResponse(f"{why}\n", HTTPStatus.FORBIDDEN)


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, as many as a page of ours has; of one that is sent twice, the last."""
    body = await _body(request, _MAX_FORM_BYTES)
    try:
        fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


async def _body(request: Request, most_bytes: int) -> bytes:
    """Return what came of a body, up to `most_bytes`, until its end or for three seconds."""
    body = bytearray()

    async def read() -> None:
        try:
            async for each in request.stream():
                body.extend(each)
                if len(body) >= most_bytes:
                    return
        except ClientDisconnect:
            return

    await _at_most(_BODY_SECONDS, read)
    return bytes(body[:most_bytes])


async def _at_most(seconds: float, wait: Callable[[], Any]) -> None:
    try:
        await asyncio.wait_for(wait(), seconds)
    except TimeoutError:
        return
