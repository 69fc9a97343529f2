"""Serves a small WSGI application over HTTP: the pages of a worker, or the webhook."""

import io
import socket
import threading
from socketserver import TCPServer
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import WSGIApplication

from prometheus_client.exposition import ThreadingWSGIServer


class PortUnavailable(OSError):  # noqa: N818 - reads as what it is
    """The address cannot be listened on; the text has it and the remedy."""


class _Handler(WSGIRequestHandler):
    # Seconds of silence, after which a client is left.
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep no access log."""

    def get_stderr(self) -> TextIO:
        """Return a stream for the tracebacks of clients that went away; it is not read."""
        return io.StringIO()


class Exporter(ThreadingWSGIServer):
    """A running server with a thread for each request: prometheus_client's, with three faults less.

    Its `start_wsgi_server` looks up the host's name, which takes seconds without DNS; prints a traceback for
    each client that goes away; and waits for a silent client without end.
    """

    request_queue_size = 64

    def __init__(self, answer: WSGIApplication, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.set_app(answer)
        # Not one of the worker's supervised threads: socketserver's loop survives what a request raises.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="exporter", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.server_port

    def server_bind(self) -> None:
        """Bind without asking for the host's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that go away."""

    def close(self) -> None:
        """Stop listening and end the thread. Closing twice is harmless."""
        self.shutdown()
        self._thread.join()
        self.server_close()


def listen(answer: WSGIApplication, *, host: str, port: int) -> Exporter:
    """Listen on `host`:`port` (0: any free port) and let `answer` answer.

    Raises:
        PortUnavailable: the address is taken, or not this machine's.

    """
    try:
        return Exporter(answer, host, port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise PortUnavailable(
            f"cannot listen on {host}:{port} ({why}); free it, or take another port (SLOTGEN_METRICS_PORT)"
        ) from None
