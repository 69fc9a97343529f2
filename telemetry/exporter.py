"""Serves /metrics, /healthz and /readyz of one process over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

_REQUEST_SECONDS = 10
_Start = Callable[..., Any]


class PortUnavailable(OSError):  # noqa: N818 - reads as what it is
    """The address cannot be listened on; the text has it and the remedy."""


@dataclass(frozen=True, slots=True)
class Health:
    """The named checks of an answer; it is good when all of them are."""

    checks: dict[str, bool]

    @property
    def good(self) -> bool:
        """Whether every check passed."""
        return all(self.checks.values())


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each request, so that a slow client holds up nobody."""

    daemon_threads = True

    def server_bind(self) -> None:
        # WSGIServer would look the host's name up, which may take seconds; nobody reads it here.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away."""


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep no access log."""


class Exporter:
    """A running exporter; `port` is the one it listens on."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.port: int = server.server_port
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="exporter", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end the thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve(
    registry: CollectorRegistry,
    *,
    host: str,
    port: int,
    healthy: Callable[[], Health],
    ready: Callable[[], Health],
) -> Exporter:
    """Listen on `host`:`port` (0: any free port) and answer GET and HEAD.

    Raises:
        PortUnavailable: the address is taken, or not this machine's.

    """
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise PortUnavailable(
            f"cannot listen on {host}:{port} ({error.strerror}); free it, or set another SLOTGEN_METRICS_PORT"
        ) from None
    server.set_app(_application(registry, healthy, ready))
    return Exporter(server)


def _application(
    registry: CollectorRegistry, healthy: Callable[[], Health], ready: Callable[[], Health]
) -> Callable[[dict[str, Any], _Start], Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _answer(start, "405 Method Not Allowed", {"error": "only GET and HEAD are answered"})
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start)  # type: ignore[no-any-return]  # WSGI is untyped
        if path == "/healthz":
            return _health(start, healthy())
        if path == "/readyz":
            return _health(start, ready())
        return _answer(start, "404 Not Found", {"error": "there are /metrics, /healthz and /readyz"})

    return application


def _health(start: _Start, health: Health) -> Iterable[bytes]:
    status = "200 OK" if health.good else "503 Service Unavailable"
    return _answer(start, status, {"status": "ok" if health.good else "unavailable", "checks": health.checks})


def _answer(start: _Start, status: str, document: dict[str, Any]) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(document).encode() + b"\n"]
