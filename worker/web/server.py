"""Serves the application with uvicorn, within the bounds that other ports have, which uvicorn lacks."""

import asyncio
import socket
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from telemetry import PortUnavailable
from telemetry.exporter import BOUNDS, Bounds

_LATE_SECONDS = 5


class _Connection(H11Protocol):
    """A connection with a total deadline, and one for what the client still has to send.

    A newcomer beyond the bound takes the place of the client that has been waited for the longest.
    """

    def __init__(self, *arguments: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bounds = bounds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as theirs
        """Make room, or go away."""
        others = [
            each for each in cast("set[_Connection]", self.connections) if not each.transport.is_closing()
        ]
        waited_for = [each for each in others if each.is_waited_for]
        full = len(others) >= self._bounds.connections
        if full and waited_for:
            min(waited_for, key=lambda each: each.came).transport.abort()
        super().connection_made(transport)
        self.came = self.loop.time()
        if full and not waited_for:
            transport.abort()
        self._deadline = self.loop.call_later(self._bounds.seconds, self._is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._deadline.cancel()
        super().connection_lost(exc)

    @property
    def is_waited_for(self) -> bool:
        """Whether nothing goes on until the client sends more."""
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY}

    def _is_late(self) -> None:
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()
        else:
            # Its request came just now, or is answered without its end: it still gets its answer.
            self._deadline = self.loop.call_later(self._bounds.seconds, self.transport.abort)


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket on `host`:`port` (0: any free port). Raises PortUnavailable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "no such port"
        raise PortUnavailable(
            f"cannot listen on {host}:{port} ({why}); free it, or take another --port"
        ) from None


def server(application: ASGIApp, bounds: Bounds = BOUNDS) -> uvicorn.Server:
    """Return what answers, once it is `run` with a socket, until a signal ends it and is raised again."""

    def connection(**options: Any) -> _Connection:
        return _Connection(bounds=bounds, **options)

    config = uvicorn.Config(
        application,
        http=cast("type[asyncio.Protocol]", connection),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        # Below it anybody could fill the log, with requests that are none.
        log_level="error",
        access_log=False,
        # Who asks is the peer; the header of a proxy is for Access to judge.
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=bounds.request_bytes,
        timeout_graceful_shutdown=_LATE_SECONDS,
    )
    return uvicorn.Server(config)
