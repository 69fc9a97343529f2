"""Serves a small WSGI application over HTTP: /metrics, /healthz and /readyz of one process."""

import io
import socket
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from prometheus_client import CollectorRegistry

from telemetry.pages import Health, application

__all__ = ["Exporter", "Health", "PortUnavailable", "listen", "serve"]

# Of silence, after which a client is left.
_REQUEST_SECONDS = 10


class PortUnavailable(OSError):  # noqa: N818 - reads as what it is
    """The address cannot be listened on; the text has it and the remedy."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each request, so that a slow client holds up nobody."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # Our own, since WSGIServer's looks the host's name up, which may take seconds; nobody reads it here.
        # Without the option, a port that was scraped a moment ago cannot be taken again for a minute.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that go away."""


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep no access log."""

    def get_stderr(self) -> TextIO:
        """Return a stream for the tracebacks of clients that went away; nobody reads it."""
        return io.StringIO()


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
        """Stop listening and end the thread. Closing twice is harmless."""
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
    """Listen on `host`:`port` (0: any free port) and answer GET and HEAD of the three pages.

    Raises:
        PortUnavailable: the address is taken, or not this machine's.

    """
    return listen(application(registry, healthy, ready), host=host, port=port)


def listen(answer: WSGIApplication, *, host: str, port: int) -> Exporter:
    """Listen on `host`:`port` (0: any free port) and let `answer` answer.

    Raises:
        PortUnavailable: the address is taken, or not this machine's.

    """
    try:
        server = _Server(host, port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise PortUnavailable(
            f"cannot listen on {host}:{port} ({why}); free it, or take another port (SLOTGEN_METRICS_PORT)"
        ) from None
    server.set_app(answer)
    return Exporter(server)
