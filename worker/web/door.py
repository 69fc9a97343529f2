"""What every request passes, and what every answer carries, whatever the route."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.web.alert_webhook import SENDING, asked_path

_ALWAYS = {
    "Cache-Control": "no-store",
    # A connection for each request: none waits open, and none is closed at its deadline while it is reused.
    "Connection": "close",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With no-referrer a browser would send its own form's Origin as null.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY = "default-src 'none'; style-src {style}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origins(urls: list[str]) -> dict[str, str]:
    """Return the origin of each URL by each value of `Host` that it is asked with.

    Raises:
        ValueError: one is no http or https URL of a host alone; the text has it.

    """
    found: dict[str, str] = {}
    for url in urls:
        parts = urlsplit(url)
        if (
            parts.scheme not in _DEFAULT_PORTS
            or not parts.hostname
            or parts.username
            or parts.path.strip("/")
        ):
            raise ValueError(url)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        usual = port == _DEFAULT_PORTS[parts.scheme]
        origin = f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{port}"
        found |= dict.fromkeys([f"{host}:{port}", *([host] if usual else [])], origin)
    return found


@dataclass(frozen=True, slots=True)
class Door:
    """Lets requests to the known hosts through to `application`, and POSTs of its own pages alone.

    `origins` has the origin of each known `Host`. To the paths `for_programs`, which take no cookie, anybody
    may send, by any of the methods of `SENDING`. `style` is the source of styles for the policy.
    """

    application: ASGIApp
    origins: Mapping[str, str]
    for_programs: frozenset[str]
    style: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_ALWAYS)
                headers["Content-Security-Policy"] = _POLICY.format(style=self.style)
            await send(message)

        refusal = self._refusal(scope)
        answer = self.application if refusal is None else PlainTextResponse(refusal[1], refusal[0])
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        origin = self.origins.get(hosts[0].lower()) if len(hosts) == 1 else None
        if origin is None:
            return HTTPStatus.MISDIRECTED_REQUEST, "not a host of this page; start slotgen web with --url\n"
        scope["origin"] = origin
        path = asked_path(scope["path"])
        if scope["method"] in SENDING and path in self.for_programs:
            scope["path"] = path
            return None
        if scope["method"] not in {"GET", "HEAD", "POST"}:
            return HTTPStatus.METHOD_NOT_ALLOWED, "only GET, HEAD and POST are answered\n"
        if scope["method"] == "POST" and not _is_own(headers, origin):
            return (
                HTTPStatus.FORBIDDEN,
                "this form was not sent by this page; open the page, and use its button\n",
            )
        return None


def _is_own(headers: Headers, origin: str) -> bool:
    """Whether a browser says that the request is of the page itself; one that says nothing is refused."""
    said, fetched = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    return bool(said or fetched) and set(said) <= {origin} and set(fetched) <= {"same-origin"}
