"""A primary, its replica, and the Sentinel that fails over from one to the other."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.ports import free_port
from worker.adapters.redis_clients import open_sync
from worker.dev.embedded_redis import EmbeddedRedis
from worker.dev.redis_process import start_redis
from worker.dev.watched_process import WatchedProcess

SERVICE = "mymaster"
_START_SECONDS = 10


@dataclass
class Watched:
    primary: EmbeddedRedis
    replica: EmbeddedRedis
    url: str
    client: redis.Redis


@contextmanager
def watched_by_sentinel() -> Iterator[Watched]:
    with ExitStack() as ending:
        primary = ending.enter_context(EmbeddedRedis())
        following = ("--replicaof", "127.0.0.1", str(primary.port), "--repl-diskless-sync-delay", "0")
        replica = ending.enter_context(EmbeddedRedis(extra_args=following))
        with open_sync(primary.url, timeout_seconds=5) as client:
            # Returns once the replica has caught up; a failover before that would elect nobody.
            assert client.wait(1, _START_SECONDS * 1000) == 1
        port = free_port()
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="slotgen-sentinel-")))
        sentinel = _start_sentinel(folder, port, primary.port)
        ending.callback(sentinel.end, signal.SIGTERM)
        url = f"sentinel://127.0.0.1:{port}/{SERVICE}"
        client = ending.enter_context(open_sync(url, timeout_seconds=5))
        yield Watched(primary, replica, url, client)


def _start_sentinel(folder: Path, port: int, primary_port: int) -> WatchedProcess:
    conf = folder / "sentinel.conf"
    conf.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary_port} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\n"
        f"sentinel failover-timeout {SERVICE} 3000\n"
    )
    return start_redis([conf, "--sentinel"], port, folder / "log")
