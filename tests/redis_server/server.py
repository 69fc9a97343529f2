"""The embedded Redis of the product, to kill, freeze and restart; it leaves nothing behind."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from worker.dev.processes.ports import ReservedPort
from worker.dev.processes.watched import WatchedProcess
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.redis_server.process import OPTIONS, start_redis


class EmbeddedRedis:
    """A Redis on 127.0.0.1, ready to use inside `with EmbeddedRedis() as redis:`.

    `persistent` keeps an append-only file, so that data outlives `kill()` and `restart()`. `directory` is
    where it lives: by default a temporary one, removed at the end; a given one must exist, and is kept.
    `extra_args` are added to the command line, for example `("--maxmemory", "2mb")`; they must leave the
    default user open. The server ends with our process, even when that is killed; Ctrl-C does not reach
    it. Not for use by several threads at once.
    """

    def __init__(
        self, *, persistent: bool = False, directory: Path | None = None, extra_args: Sequence[str] = ()
    ) -> None:
        self._reserved: ReservedPort | None = None
        self.directory = directory
        self._private = directory is None
        self._options = [*OPTIONS, "--appendonly", "yes" if persistent else "no", *extra_args]
        self._process: WatchedProcess | None = None

    @property
    def port(self) -> int:
        """Its port, the same after `restart()`; 0 before it is started and after it was stopped."""
        return self._reserved.number if self._reserved else 0

    @property
    def url(self) -> str:
        """Database 0 of this server, as `redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the server process exists; a frozen one does."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """The id of the server process; 0 before it is started and after it was ended."""
        return self._process.pid if self._process else 0

    def start(self) -> Self:
        """Start the server on a free port and return once it answers.

        Raises:
            EmbeddedRedisError: there is no server program, it ended at once, or it did not answer in 10 s.

        """
        if self.running:
            raise EmbeddedRedisError(f"this Redis already runs at {self.url}; stop() it first")
        if self.directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="slotgen-redis-"))
        self._reserved = ReservedPort()
        try:
            self._launch(self.directory)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server in order (SIGTERM, after 5 s SIGKILL) and remove its temporary directory."""
        self._end(signal.SIGTERM)
        if self._reserved:
            self._reserved.release()
            self._reserved = None
        if self._private and self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash would; its directory stays for `restart()`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port and directory, ending the server in order when it still runs.

        Raises:
            EmbeddedRedisError: it was never started or is stopped, or does not come up.

        """
        if self.directory is None or not self.port:
            raise EmbeddedRedisError("there is no Redis to restart; call start()")
        self._end(signal.SIGTERM)
        self._launch(self.directory)

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP): connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._send(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self, directory: Path) -> None:
        arguments: list[str | Path] = ["--port", str(self.port), "--dir", directory, *self._options]
        orphaned_dir = directory if self._private else None
        self._process = start_redis(arguments, self.port, directory / "redis.log", orphaned_dir=orphaned_dir)

    def _send(self, which: signal.Signals) -> None:
        if self._process is not None:
            self._process.send(which)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(how)
            self._process = None
