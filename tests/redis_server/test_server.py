from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.redis_server.server import EmbeddedRedis
from worker.dev.redis_server.binary import EmbeddedRedisError

# An abrupt parent: says who its Redis is, and waits to be killed.
PARENT = """
import signal
from tests.redis_server.server import EmbeddedRedis
with EmbeddedRedis() as server:
    print(server.pid, server.directory, flush=True)
    signal.pause()
"""


def _client(server: EmbeddedRedis, timeout_seconds: float = 5) -> Any:
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    return closing(redis.Redis.from_url(server.url, socket_timeout=timeout_seconds, retry=retry))


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_answers_as_soon_as_it_is_entered_and_leaves_nothing() -> None:
    with EmbeddedRedis() as server, _client(server) as client:
        assert client.ping()
        assert client.info("server")["process_id"] == server.pid
        pid, directory = server.pid, server.directory
        assert directory is not None
        assert directory.is_dir()

    assert not _exists(pid)
    assert not directory.exists()
    assert (server.running, server.pid) == (False, 0)


def test_refuses_writes_when_full_and_keeps_no_snapshot() -> None:
    with EmbeddedRedis(extra_args=("--maxmemory", "3mb")) as server, _client(server) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("maxmemory") == {"maxmemory": str(3 * 1024 * 1024)}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_two_run_side_by_side() -> None:
    with EmbeddedRedis() as one, EmbeddedRedis() as other, _client(one) as first, _client(other) as second:
        first.set("whose", "first")

        assert second.get("whose") is None
        assert one.port != other.port


@pytest.mark.parametrize(("persistent", "expected"), [(True, b"written"), (False, None)])
def test_only_a_persistent_one_has_its_data_after_a_crash(
    *, persistent: bool, expected: bytes | None
) -> None:
    with EmbeddedRedis(persistent=persistent) as server:
        url, first_pid = server.url, server.pid
        with _client(server) as client:
            client.set("key", "written")

        server.kill()
        assert not server.running
        assert not _exists(first_pid)
        server.restart()

        assert (server.url, server.pid != first_pid) == (url, True)
        with _client(server) as client:
            assert client.get("key") == expected


def test_restarts_in_order_while_it_runs() -> None:
    with EmbeddedRedis(persistent=True) as server:
        with _client(server) as client:
            client.set("key", "kept")
        server.restart()
        with _client(server) as client:
            assert client.get("key") == b"kept"


def test_is_silent_while_frozen_and_goes_on_when_thawed() -> None:
    with EmbeddedRedis() as server:
        server.freeze()
        with _client(server, timeout_seconds=0.1) as client, pytest.raises(redis.TimeoutError):
            client.ping()
        assert server.running

        server.thaw()
        with _client(server) as client:
            assert client.ping()


def test_a_frozen_one_is_thawed_to_end_in_order(tmp_path: Path) -> None:
    with EmbeddedRedis(directory=tmp_path) as server:
        pid = server.pid
        server.freeze()

    assert not _exists(pid)
    assert "Received SIGTERM" in (tmp_path / "redis.log").read_text()


def test_keeps_a_directory_that_was_given(tmp_path: Path) -> None:
    with EmbeddedRedis(persistent=True, directory=tmp_path) as server, _client(server) as client:
        client.set("key", "kept")
    with EmbeddedRedis(persistent=True, directory=tmp_path) as server, _client(server) as client:
        assert client.get("key") == b"kept"

    assert tmp_path.is_dir()


def test_ends_and_cleans_up_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server_pid, directory = parent.stdout.readline().split()
        ends = [os.pidfd_open(pid) for pid in (int(server_pid), os.getpgid(int(server_pid)))]
        assert parent.poll() is None
        parent.kill()

    for end in ends:
        assert select.select([end], [], [], 10)[0], "a process outlived its parent"
        os.close(end)
    assert not Path(directory).exists()


def test_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    with EmbeddedRedis() as server:
        assert os.getsid(server.pid) != os.getsid(0)


def test_stops_twice_and_starts_again() -> None:
    server = EmbeddedRedis()
    server.start()
    server.stop()
    server.stop()
    with server, _client(server) as client:
        assert client.ping()


def test_shows_the_log_when_the_server_ends_at_once() -> None:
    server = EmbeddedRedis(extra_args=("--no-such-option", "1"))

    with pytest.raises(EmbeddedRedisError, match=r"(?s)ended at once.*no-such-option"):
        server.start()

    assert (server.running, server.directory) == (False, None)


def test_nobody_is_given_its_port_while_it_is_down() -> None:
    with EmbeddedRedis() as server:
        port = server.port
        server.kill()

        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        server.restart()

        assert server.port == port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))


def test_says_so_when_it_cannot_restart() -> None:
    with pytest.raises(EmbeddedRedisError, match=r"call start\(\)"):
        EmbeddedRedis().restart()


def test_refuses_to_start_twice() -> None:
    with EmbeddedRedis() as server, pytest.raises(EmbeddedRedisError, match="already runs"):
        server.start()
