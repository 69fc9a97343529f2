"""Debian's Redis 7 with the shipped users, on a port of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from tests.debian import library_path, program
from tests.waiting import eventually

ROLES = ("producer", "consumer", "worker", "operator", "keda", "monitor", "guard", "web")
REDIS = Path(__file__).resolve().parents[2] / "deploy" / "redis"
_STOP_SECONDS = 60


def users_of(folder: Path) -> Path:
    """Write a password for each role, fill the shipped template with them, and return the file."""
    for role in ROLES:
        (folder / role).write_text(f"{role}-password\n")
    made = subprocess.run([REDIS / "make-users", folder], capture_output=True, text=True, check=True)
    (folder / "users.acl").write_text(made.stdout)
    return folder / "users.acl"


def redis7() -> Path:
    """Return a `redis-server` of version 7 or newer, or skip the test: roles and TLS want no older one."""
    found = program("redis-server")
    said = subprocess.run(
        [found, "--version"], env=library_path(), capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"v=(\d+)", said)
    if version is None or int(version[1]) < 7:
        pytest.skip(f"this wants Redis 7, which apt-get did not bring; {found} says {said.strip()!r}")
    return found


@contextmanager
def redis_server(
    folder: Path, arguments: Sequence[str | Path], probe: redis.Redis, server: Path | None = None
) -> Iterator[None]:
    """Run Redis 7, or `server`, until the end; returns once it answers `probe`, be it with a refusal."""
    process = subprocess.Popen(
        [server or redis7(), *arguments, "--dir", folder, "--save", ""],
        env=library_path(),
        stdout=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            return bool(probe.ping())
        except (AuthenticationError, NoPermissionError):
            return True
        except redis.ConnectionError:
            return False

    try:
        eventually(answers, saying="Redis did not answer")
        yield
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
