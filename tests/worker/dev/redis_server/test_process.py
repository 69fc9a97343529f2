from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from worker.adapters.redis.clients import open_sync
from worker.dev.redis_server import process
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.redis_server.process import embedded_redis

# An abrupt parent: says who its Redis is, and waits to be killed.
PARENT = """
import pathlib, signal, sys
from worker.adapters.redis.clients import open_sync
from worker.dev.redis_server.process import embedded_redis
with embedded_redis(pathlib.Path(sys.argv[1])) as url, open_sync(url, timeout_seconds=5) as client:
    print(client.info("server")["process_id"], flush=True)
    signal.pause()
"""


def test_answers_as_soon_as_it_is_entered_and_ends_with_the_block(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url, open_sync(url, timeout_seconds=5) as client:
        pid = client.info("server")["process_id"]

        # Ctrl-C in the terminal does not reach it.
        assert os.getsid(pid) != os.getsid(0)

    assert not Path(f"/proc/{pid}").exists()
    assert "Received SIGTERM" in (tmp_path / "redis.log").read_text()


def test_refuses_writes_when_full_and_keeps_nothing(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url, open_sync(url, timeout_seconds=5) as client:
        wanted = {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no", "bind": "127.0.0.1"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_two_run_side_by_side(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "other"
    for each in folders:
        each.mkdir()
    with embedded_redis(folders[0]) as one, embedded_redis(folders[1]) as other:
        assert one != other


def test_ends_and_cleans_up_when_its_parent_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    command = [sys.executable, "-c", PARENT, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server_pid = int(parent.stdout.readline())
        ends = [os.pidfd_open(pid) for pid in (server_pid, os.getpgid(server_pid))]
        assert parent.poll() is None
        parent.kill()

    for end in ends:
        assert select.select([end], [], [], 10)[0], "a process outlived its parent"
        os.close(end)
    assert not folder.exists()


def test_shows_the_log_when_the_server_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "OPTIONS", ("--no-such-option", "1"))

    with (
        pytest.raises(EmbeddedRedisError, match=r"(?s)ended at once.*no-such-option"),
        embedded_redis(tmp_path),
    ):
        pass
