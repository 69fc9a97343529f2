"""Programs of Debian packages for tests, unpacked below .tools: no root, no service started."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / ".tools"
_ROOT = TOOLS / "root"
_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
    # Redis 7.0 with TLS; the embedded one of the tests is 6.2 without.
    "redis-server": "redis-server",
}
# redis-server is a link into redis-tools, which needs these libraries beside libc and OpenSSL.
_NEEDED = ("redis-tools", "libjemalloc2", "liblzf1", "libatomic1", "libsystemd0")
_FETCH_SECONDS = 120
_BROWSERS = ("chromium", "google-chrome", "chromium-browser")


def program(name: str) -> Path:
    """Return an executable `name`, fetched with apt on first use; skips the test where it cannot be had."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} cannot be had: apt-get did not bring it, and it is not on the PATH")
    return found


def find(name: str) -> Path | None:
    """Return the executable from .tools, else one of the PATH, or None where it cannot be had.

    Debian's comes first, so that the same program is tried on every machine that has apt.
    """
    unpacked = _ROOT / "usr" / "bin" / name
    if not unpacked.exists():
        _fetch("fetched", _unpack_all)
    on_path = shutil.which(name)
    return unpacked if unpacked.exists() else Path(on_path) if on_path else None


def among_its_files(name: str) -> list[str]:
    """Return the command that runs `name` with its package's /usr/share in place, or skip the test.

    Some programs open files there by their full names. A mount of this process alone needs no root.
    """
    unpacked = program(name)
    if not unpacked.is_relative_to(_ROOT):
        return [str(unpacked)]
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mounted += ['mount --bind "$0" /usr/share && exec "$@"', str(_ROOT / "usr/share")]
    if (
        not shutil.which("unshare")
        or subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"{name} cannot be run: this system allows no mounts in a user namespace")
    return [*mounted, str(unpacked)]


def chromium() -> list[str]:
    """Return the command that runs a Chromium, of the PATH or unpacked, or skip the test."""
    command = find_chromium()
    if command is None:
        pytest.skip("Chromium cannot be had: apt-get did not bring it, and none is on the PATH")
    return command


def find_chromium() -> list[str] | None:
    """Return the command that runs a Chromium, or None where none can be had.

    That of the PATH comes first: unpacked it takes 400 MB.
    """
    if on_path := next(filter(None, map(shutil.which, _BROWSERS)), None):
        return [on_path]
    unpacked = _ROOT / "usr/lib/chromium/chromium"
    if not unpacked.exists():
        _fetch("browser", _unpack_browser)
    libraries = library_path()["LD_LIBRARY_PATH"]
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(unpacked)] if unpacked.exists() else None


def library_path() -> dict[str, str]:
    """Return the environment in which an unpacked program finds its libraries."""
    folders = [str(folder) for folder in (_ROOT / "usr/lib").glob("*-linux-gnu")]
    folders += [str(folder) for folder in (_ROOT / "lib").glob("*-linux-gnu")]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(folders)}


def _fetch(what: str, unpack: Callable[[], None]) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (TOOLS / what).exists():
            return
        try:
            unpack()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            # Said once for all tests that miss them; they skip.
            sys.stderr.write(f"the Debian packages could not be fetched: {error}\n")
        (TOOLS / what).touch()


def _unpack_all() -> None:
    _apt("update")
    _apt("download", *sorted({*_PACKAGES.values(), *_NEEDED}))
    _unpack(TOOLS)


def _unpack_browser() -> None:
    """Fetch Chromium with the libraries that this machine lacks; apt knows which, and installs none."""
    _apt("update")
    _apt("install", "--download-only", "--yes", "--no-install-recommends", "chromium")
    _unpack(TOOLS / "cache" / "archives")


def _apt(*words: str) -> None:
    lists, cache = TOOLS / "lists", TOOLS / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    # Lists and cache of our own: those of the system belong to root, and so do its locks.
    options = [
        f"Dir::State::Lists={lists}",
        f"Dir::Cache={cache}",
        "APT::Sandbox::User=",
        "Debug::NoLocking=1",
    ]
    _run(["apt-get", "-qq", *(word for each in options for word in ("-o", each)), *words])


def _unpack(folder: Path) -> None:
    for package in folder.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(package), str(_ROOT)])
        package.unlink()


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=TOOLS, check=True, timeout=_FETCH_SECONDS, capture_output=True)


def main() -> int:
    """Fetch everything; say what is there. Exit 1 when something is missing."""
    missing = [name for name in _PACKAGES if find(name) is None]
    missing += ["chromium"] * (find_chromium() is None)
    print("missing, their tests will skip:" if missing else "all there:", *(missing or _PACKAGES))
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
