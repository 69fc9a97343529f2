"""The machine that the figures come from."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from worker.dev.redis_server.binary import find_redis_server


def described() -> dict[str, str]:
    """Return what a figure depends on, by name."""
    return {
        # What this process may use, which in a container is less than the machine has.
        "cores": str(len(os.sched_getaffinity(0))),
        "cpu": _found(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()),
        "python": platform.python_version(),
        "redis": _found(r"v=(\S+)", _redis_version()),
    }


def _redis_version() -> str:
    return subprocess.run(
        [find_redis_server(), "--version"], capture_output=True, text=True, check=True
    ).stdout


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "unknown"
