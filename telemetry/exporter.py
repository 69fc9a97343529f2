"""Serves a small WSGI application (a worker's pages or the webhook) over HTTP, and drops slow clients."""

import io
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from socketserver import TCPServer
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import WSGIApplication

from prometheus_client.exposition import ThreadingWSGIServer

_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
# How long a new client waits for the place of one that is being dropped.
_PLACE_SECONDS = 0.2


class PortUnavailable(OSError):  # noqa: N818 - reads as what it is
    """Cannot listen on the address; the text has the address and the remedy."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the clients of one port may use.

    `connections` at once, each a file descriptor and a thread; `seconds` for a whole connection, and
    `silent_seconds` of them without a byte; `request_bytes` of head and body together.
    """

    connections: int = 64
    # More than the 5 s after which a dead job loop is reported.
    seconds: float = 8.0
    silent_seconds: float = 3.0
    request_bytes: int = 1 << 14


BOUNDS = Bounds()


@dataclass(slots=True)
class _Client:
    """`waiting`: its thread is blocked until the client sends or reads. `dropped`: it is being dropped."""

    came_mono: float
    waiting: bool = False
    dropped: bool = False


class _Stream(io.RawIOBase):
    """A client's stream: reads at most so many bytes and then end of file; writes what it is sent."""

    def __init__(self, connection: socket.socket, client: _Client, bounds: Bounds) -> None:
        self._connection, self._client, self._bounds = connection, client, bounds
        self._left, self.ended = bounds.request_bytes, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer)[: self._left]
        got = self._patiently(lambda: self._connection.recv_into(room)) if room else 0
        self._left -= got
        self.ended = not got
        return got

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        left = memoryview(data)
        while left:
            left = left[self._patiently(lambda: self._connection.send(left)) :]  # noqa: B023 - called at once
        return len(data)

    def _patiently(self, move: Callable[[], int]) -> int:
        self._connection.settimeout(0)
        try:
            return move()
        except BlockingIOError:
            self._connection.settimeout(self._bounds.silent_seconds)
            self._client.waiting = True
            try:
                return move()
            finally:
                self._client.waiting = False


class _Handler(WSGIRequestHandler):
    server: "Exporter"

    def setup(self) -> None:
        """Read and write within the server's limits."""
        self.connection = self.request
        self._stream = _Stream(self.connection, self.server.clients[self.request], self.server.bounds)
        self.rfile = io.BufferedReader(self._stream)
        self.wfile = self._stream  # type: ignore[assignment]  # typed as buffered, which an answer needs not be

    def parse_request(self) -> bool:
        """Leave a question without an end unanswered; to a POST, the application says what it means."""
        return super().parse_request() and not (self._stream.ended and self.command != "POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep no access log."""

    def get_stderr(self) -> TextIO:
        """Return a stream for the tracebacks of clients that went away; it is not read."""
        return io.StringIO()


class Exporter(ThreadingWSGIServer):
    """A running server with a thread for each request: prometheus_client's, with its faults mended.

    Its `start_wsgi_server` looks up the host's name, which takes seconds without DNS; prints a traceback for
    each client that goes away; and gives every client a descriptor and a thread for as long as it likes, so
    that slow ones leave none to the jobs. Here a newcomer beyond the bound takes the place of the client
    that it has waited for the longest: a probe, which asks at once, is not waited for.
    """

    request_queue_size = 1024

    def __init__(self, answer: WSGIApplication, host: str, port: int, bounds: Bounds = BOUNDS) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.bounds = bounds
        self.clients: dict[socket.socket, _Client] = {}  # the oldest first
        self._changed = threading.Condition()
        super().__init__((host, port), _Handler)
        self.set_app(answer)
        # Not one of the worker's supervised threads: socketserver's loop survives what a request raises.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="exporter", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.server_port

    def server_bind(self) -> None:
        """Bind without looking up the host's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a new client in a thread, or tell it that there is no place."""
        with self._changed:
            most = self.bounds.connections
            # Clients being dropped may still hold descriptors: allow as many again, and no more.
            if len(self.clients) >= most and self._drop_slowest():
                most *= 2
            free = self._changed.wait_for(lambda: len(self.clients) < most, _PLACE_SECONDS)
            if free:
                self.clients[request] = _Client(time.monotonic())
        if free:
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(0)
            request.send(_BUSY)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and free its place."""
        with self._changed:
            self.clients.pop(request, None)
            super().shutdown_request(request)
            self._changed.notify_all()

    def service_actions(self) -> None:
        """Drop the clients whose time is up; called at least ten times a second."""
        with self._changed:
            oldest_mono = time.monotonic() - self.bounds.seconds
            for each, client in self.clients.items():
                if client.came_mono > oldest_mono:
                    break
                _drop(each, client)

    def handle_error(self, *_: Any) -> None:
        """Log nothing about clients that go away."""

    def close(self) -> None:
        """Stop listening, drop every client and end the thread. Closing twice is harmless."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._changed:
            for each, client in self.clients.items():
                _drop(each, client)

    def _drop_slowest(self) -> bool:
        """Drop the oldest of the clients that are waited for; False for none."""
        for each, client in self.clients.items():
            if client.waiting and not client.dropped:
                _drop(each, client)
                return True
        return False


def _drop(connection: socket.socket, client: _Client) -> None:
    """End the connection in both directions: its thread wakes and closes it."""
    client.dropped = True
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def listen(answer: WSGIApplication, *, host: str, port: int, bounds: Bounds = BOUNDS) -> Exporter:
    """Listen on `host`:`port` (0: any free port) and let `answer` answer.

    Raises:
        PortUnavailable: the address is taken, or not this machine's.

    """
    try:
        return Exporter(answer, host, port, bounds)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise PortUnavailable(
            f"cannot listen on {host}:{port} ({why}); free it, or take another port (SLOTGEN_METRICS_PORT)"
        ) from None
