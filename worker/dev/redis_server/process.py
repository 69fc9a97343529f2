"""Runs a private Redis server, or says why it could not, quoting its log."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from redis.exceptions import BusyLoadingError, RedisError

from worker.adapters.redis.clients import open_sync
from worker.dev.processes.ports import ReservedPort
from worker.dev.processes.watched import WatchedProcess
from worker.dev.redis_server.binary import EmbeddedRedisError, find_redis_server

OPTIONS = (
    *("--bind", "127.0.0.1", "--save", ""),
    # An evicted dial stops the fleet, so a full Redis must refuse writes instead, and early enough.
    *("--maxmemory-policy", "noeviction", "--maxmemory", "1gb"),
)
_START_SECONDS = 10.0
_LOG_LINES = 8


@dataclass(slots=True)
class RedisServer:
    """A Redis at `port`; `start` starts it again if it has ended by itself."""

    directory: Path
    port: int
    persistent: bool
    _process: WatchedProcess | None = None

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def ending(self) -> str:
        """How it ended by itself; empty while it runs."""
        return self._process.ending if self._process else ""

    def start(self) -> None:
        """Start it, or start it again, and wait until it serves. Raises EmbeddedRedisError."""
        self.stop()
        keeps = "yes" if self.persistent else "no"
        arguments: list[str | Path] = [
            "--port",
            str(self.port),
            "--dir",
            self.directory,
            *OPTIONS,
            "--appendonly",
            keeps,
        ]
        log = self.directory / "redis.log"
        self._process = start_redis(arguments, self.port, log, orphaned_dir=self.directory)

    def stop(self) -> None:
        """End it with SIGTERM, after 5 s with SIGKILL."""
        if self._process:
            self._process.end(signal.SIGTERM)


@contextmanager
def embedded_server(directory: Path, *, port: int = 0, persistent: bool = False) -> Iterator[RedisServer]:
    """Run a Redis on `port` of 127.0.0.1 if it is free, else on another, with its log in `directory`.

    It ends with the block, and also if our process is killed: then `directory` is removed. Ctrl-C in the
    terminal does not reach it. A `persistent` one still has its data when it is started again.

    Raises:
        EmbeddedRedisError: there is no server program, it ended at once, or it did not answer in 10 s.

    """
    reserved = ReservedPort(port)
    server = RedisServer(directory, reserved.number, persistent)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        reserved.release()


@contextmanager
def embedded_redis(directory: Path) -> Iterator[str]:
    """Run an `embedded_server` on any free port, and yield its URL. Raises EmbeddedRedisError."""
    with embedded_server(directory) as server:
        yield server.url


def start_redis(
    arguments: Sequence[str | Path], port: int, log_path: Path, *, orphaned_dir: Path | None = None
) -> WatchedProcess:
    """Start a Redis that listens on `port` by its `arguments`, and return it once it serves commands.

    Its output is appended to `log_path`. When our process is killed, `orphaned_dir` is removed.

    Raises:
        EmbeddedRedisError: there is no server program, it ended at once, or it did not answer in 10 s.

    """
    with log_path.open("ab") as log:
        log_start = log.tell()
        process = WatchedProcess([find_redis_server(), *arguments], log, orphaned_dir=orphaned_dir)
    try:
        if not _serves(process, port):
            _refuse(process, log_path, log_start)
    except BaseException:
        process.end(signal.SIGKILL)
        raise
    return process


def _serves(process: WatchedProcess, port: int) -> bool:
    """Whether the Redis at `port` becomes `process` and serves commands, within 10 s."""
    deadline_mono = time.monotonic() + _START_SECONDS
    pause_seconds = 0.002
    with open_sync(f"redis://127.0.0.1:{port}", timeout_seconds=1) as client:
        while process.running and time.monotonic() < deadline_mono:
            try:
                if client.ping() and client.info("server")["process_id"] == process.pid:
                    return True
            except BusyLoadingError:
                # It takes as long as it has data.
                deadline_mono = time.monotonic() + _START_SECONDS
            except RedisError:
                pass
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, 0.05)
    return False


def _refuse(process: WatchedProcess, log_path: Path, log_start: int) -> NoReturn:
    silent = f"did not answer in {_START_SECONDS:g} s; its log says"
    why = silent if process.running else "ended at once; mend what its log says"
    said = log_path.read_bytes()[log_start:].decode(errors="replace").split("\n")
    last_lines = "\n  ".join([line for line in said if line.strip()][-_LOG_LINES:])
    raise EmbeddedRedisError(f"the embedded Redis {why}:\n  {last_lines or '(nothing)'}")
