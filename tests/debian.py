"""Programs of Debian packages for tests, unpacked below .tools: no root, no service started."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
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
        _fetch()
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


def library_path() -> dict[str, str]:
    """Return the environment in which an unpacked program finds its libraries."""
    folders = [str(folder) for folder in (_ROOT / "usr/lib").glob("*-linux-gnu")]
    folders += [str(folder) for folder in (_ROOT / "lib").glob("*-linux-gnu")]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(folders)}


def _fetch() -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (TOOLS / "fetched").exists():
            return
        try:
            _unpack_all()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            # Said once for all tests that miss them; they skip.
            sys.stderr.write(f"the Debian packages could not be fetched: {error}\n")
        (TOOLS / "fetched").touch()


def _unpack_all() -> None:
    lists, cache = TOOLS / "lists", TOOLS / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    # Lists and cache of our own: those of the system belong to root.
    apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
    packages = sorted({*_PACKAGES.values(), *_NEEDED})
    _run([*apt, "update"])
    _run([*apt, "-o", "APT::Sandbox::User=", "download", *packages])
    for package in TOOLS.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(package), str(_ROOT)])
        package.unlink()


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=TOOLS, check=True, timeout=_FETCH_SECONDS, capture_output=True)


def main() -> int:
    """Fetch everything; say what is there. Exit 1 when something is missing."""
    missing = [name for name in _PACKAGES if find(name) is None]
    print("missing, their tests will skip:" if missing else "all there:", *(missing or _PACKAGES))
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
