"""Starts one Redis process under its watcher, and ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from worker.dev import redis_watcher
from worker.dev.redis_binary import EmbeddedRedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_STOP_SECONDS = 5.0
_LOG_LINES = 8


class PortTakenError(EmbeddedRedisError):
    """Another process bound the port between our looking and our starting."""


class RedisProcess:
    """One run of `argv`, whose output is appended to `log_path`; `pid` is the server's own.

    When our process dies first, the server dies with it, and `orphaned_dir` (None: nothing) is removed.
    """

    def __init__(self, argv: Sequence[str | Path], log_path: Path, orphaned_dir: Path | None) -> None:
        self._log_path = log_path
        with log_path.open("ab") as log:
            self._log_start = log.tell()
            # -I -S: the watcher needs no packages, and starts in a third of the time.
            self._watcher = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-I", "-S", redis_watcher.__file__, orphaned_dir or "", *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us, and we end Redis in our order
            )
        assert self._watcher.stdout is not None
        with self._watcher.stdout as first_line:
            self.pid = int(first_line.readline() or 0)

    @property
    def running(self) -> bool:
        """Whether the server process exists; a frozen one does."""
        return self._watcher.poll() is None

    def send(self, which: signal.Signals) -> None:
        """Send a signal to the server; nothing happens when it has ended."""
        if self.running and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, which)

    def end(self, how: signal.Signals) -> None:
        """Send `how`, wait for the server and its watcher, and escalate to SIGKILL after 5 s."""
        self.send(how)
        self.send(signal.SIGCONT)  # a frozen process reads no SIGTERM
        try:
            self._watcher.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self._watcher.wait()
        # Only now: closing the pipe on a living server would make its watcher remove the directory.
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()

    def await_answer(self, answers: Callable[[int], bool], timeout_seconds: float) -> None:
        """Return once `answers(pid)` is true.

        Raises:
            PortTakenError: the server ended because its port is in use.
            EmbeddedRedisError: it ended for another reason, or did not answer in time.

        """
        deadline_mono = time.monotonic() + timeout_seconds
        pause_seconds = 0.002
        while not answers(self.pid):
            if not self.running:
                raise self._start_error("ended at once")
            if time.monotonic() > deadline_mono:
                raise self._start_error(f"did not answer in {timeout_seconds:g} s")
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, 0.05)

    def _start_error(self, what: str) -> EmbeddedRedisError:
        with self._log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").split("\n")
        said = "\n  ".join([line for line in lines if line.strip()][-_LOG_LINES:]) or "(nothing)"
        if "Address already in use" in said:
            return PortTakenError(f"the port of the embedded Redis is taken; its log says:\n  {said}")
        return EmbeddedRedisError(f"the embedded Redis {what}; mend what its log says:\n  {said}")
