"""The npm packages that tests run: installed below .tools from a lock, on first use."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.debian import TOOLS

_LOCK = Path(__file__).parent / "docs" / "node"
# Shorter than the time that a test has.
_INSTALL_SECONDS = 80


def modules() -> Path:
    """Return the folder node_modules, installed with npm on first use, or skip the test without it."""
    found = install()
    if found is None:
        pytest.skip("Node's packages cannot be had: node is not on the PATH, or npm did not bring them")
    return found


def install() -> Path | None:
    """Return the folder node_modules, or None where it cannot be had."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    folder = TOOLS / "node"
    folder.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_current(folder):
            _install(folder)
    return folder / "node_modules" if _is_current(folder) else None


def _is_current(folder: Path) -> bool:
    installed = folder / "installed.json"
    return installed.exists() and installed.read_bytes() == (_LOCK / "package-lock.json").read_bytes()


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_LOCK / name, folder / name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, timeout=_INSTALL_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"Node's packages could not be fetched: {error}\n")
        return
    shutil.copy(_LOCK / "package-lock.json", folder / "installed.json")


if __name__ == "__main__":
    sys.exit(0 if install() else "npm did not bring the packages of tests/docs/node")
