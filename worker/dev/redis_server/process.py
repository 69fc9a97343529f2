"""Starts one Redis process and waits for its first answer, or says with its log why there is none."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.dev.processes.watched import WatchedProcess
from worker.dev.redis_server.binary import EmbeddedRedisError, answers, find_redis_server

_START_SECONDS = 10.0
_LOG_LINES = 8


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
        _await_answer(process, port, lambda: _last_lines(log_path, log_start))
    except BaseException:
        process.end(signal.SIGKILL)
        raise
    return process


def _await_answer(process: WatchedProcess, port: int, said: Callable[[], str]) -> None:
    deadline_mono = time.monotonic() + _START_SECONDS
    pause_seconds = 0.002
    while not answers(port, process.pid):
        if not process.running:
            raise EmbeddedRedisError(f"the embedded Redis ended at once; mend what its log says:\n  {said()}")
        if time.monotonic() > deadline_mono:
            raise EmbeddedRedisError(
                f"the embedded Redis did not answer in {_START_SECONDS:g} s; its log says:\n  {said()}"
            )
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.5, 0.05)


def _last_lines(log_path: Path, start: int) -> str:
    with log_path.open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").split("\n")
    return "\n  ".join([line for line in lines if line.strip()][-_LOG_LINES:]) or "(nothing)"
