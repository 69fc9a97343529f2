"""Says how much memory a process has, in MB of a million bytes."""

from __future__ import annotations

import re
from pathlib import Path


def resident_mb(pid: int) -> float:
    """Return what it has at this moment."""
    return _of(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most that it ever had."""
    return _of(pid, "VmHWM")


def _of(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = re.findall(rf"{name}:\s+(\d+) kB", status)
    return int(kib) * 1024 / 1e6
