"""Starts a program that ends when this process does, however this process ends."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from worker.dev.processes import watcher

_STOP_SECONDS = 5.0


class WatchedProcess:
    """One run of `argv` in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Both of its streams go to `output`, which is a file, or a pipe (`subprocess.PIPE`) that is then read from
    `lines`. `pid` is the program's own. When this process is killed, the program is too, and `orphaned_dir`
    is removed.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        output: IO[bytes] | int,
        *,
        env: Mapping[str, str] | None = None,
        orphaned_dir: Path | None = None,
    ) -> None:
        # -I -S: the watcher needs no packages, and starts in a third of the time.
        command = [sys.executable, "-I", "-S", watcher.__file__]
        self._watcher = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [*command, orphaned_dir or "", *argv],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
        assert self._watcher.stdout is not None
        with self._watcher.stdout as first_line:
            self.pid = int(first_line.readline() or 0)

    @property
    def lines(self) -> IO[str]:
        """What the program says, where `output` is a pipe."""
        assert self._watcher.stderr is not None
        return self._watcher.stderr

    @property
    def running(self) -> bool:
        """Whether the program runs; one stopped by SIGSTOP counts as running."""
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        """Its exit code, 128 and the number of the signal that ended it, or None while it runs."""
        return self._watcher.poll()

    @property
    def ending(self) -> str:
        """How it ended: "was ended by SIGKILL" or "ended with exit code 1"; empty while it runs."""
        code = self.returncode
        if code is None:
            return ""
        try:
            # A shell adds 128; the watcher itself may have been killed by the signal.
            return f"was ended by {signal.Signals(-code if code < 0 else code - 128).name}"
        except ValueError:
            return f"ended with exit code {code}"

    def send(self, which: signal.Signals) -> None:
        """Send it a signal; does nothing once it has ended."""
        if self.running and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, which)

    def end(self, how: signal.Signals, within_seconds: float = _STOP_SECONDS) -> int:
        """Send `how`, wait for it to end, send SIGKILL if that takes too long, and return its exit code."""
        self.send(how)
        self.send(signal.SIGCONT)  # a stopped process reads no SIGTERM
        try:
            self._watcher.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self._watcher.wait()
        if self._watcher.returncode < 0 and self.pid:
            # Somebody killed the watcher, and its program does not know.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        # Only now: closing the pipe on a running program would make its watcher kill it.
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        return self._watcher.returncode
