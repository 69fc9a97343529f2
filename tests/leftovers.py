"""Finds what a run of the tests has started and not ended, and ends it, also when the run itself is killed.

Every process of a run inherits one environment variable; the kernel shows it, whatever became of its
parents. Run as a program, this waits until its standard input ends, as it does however the run ends, and then
cleans up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

# Not SLOTGEN_…: what a worker is given of our environment leaves those out.
VARIABLE = "TESTS_OF_SLOTGEN"
# A process that was told to end may take as long as this to do so.
_GRACE_SECONDS = 10.0


class Run:
    """One run of the tests: its folder, whose name marks its processes, and the guard that ends both."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slotgen-"))
        self.folder.chmod(0o755)  # some tests run as a user who has no rights
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what ends the run by its process group or terminal must not end this
            env={},
        )

    def end(self) -> list[str]:
        """Return the command lines of what was still running after 10 s; it is killed."""
        left = end_all(str(self.folder))
        assert self._guard.stdin
        self._guard.stdin.close()
        self._guard.wait()
        return left


def end_all(folder: str) -> list[str]:
    """Wait for the processes of a run to end, kill those that do not, and return their command lines."""
    deadline_mono = time.monotonic() + _GRACE_SECONDS
    while (pids := _processes_of(folder)) and time.monotonic() < deadline_mono:
        time.sleep(0.05)  # they are not our children: there is nothing to wait for
    left = [_command_line(pid) for pid in pids]
    _kill(pids)
    return left


def _processes_of(folder: str) -> set[int]:
    """Return the processes with the mark, and what they have started: Redis writes its title over its own."""
    mark = f"{VARIABLE}={folder}".encode()
    found: set[int] = set()
    children: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((each / "stat").read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(each.name))
            if mark in (each / "environ").read_bytes().split(b"\0"):
                found.add(int(each.name))
    started = list(found)
    while started:
        new = [pid for pid in children.get(started.pop(), ()) if pid not in found]
        found.update(new)
        started += new
    return {pid for pid in found if pid != os.getpid() and not _is_over(pid)}


def _is_over(pid: int) -> bool:
    """Whether nothing is left of a process but the code that nobody has asked for."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return True


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    return f"process {pid}"


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _clean_up_after(folder: str) -> None:
    # Whoever outlives a run that has ended itself is not meant to: there is no grace.
    while pids := _processes_of(folder):
        _kill(pids)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()
    _clean_up_after(sys.argv[1])
