"""A primary, its replica, and the Sentinel that fails over from one to the other."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.ports import free_port
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.dev.processes.watched import WatchedProcess
from worker.dev.redis_server.process import start_redis

SERVICE = "mymaster"


@dataclass
class Watched:
    primary: EmbeddedRedis
    replica: EmbeddedRedis
    url: str
    client: redis.Redis


def in_step(primary: EmbeddedRedis, replica: EmbeddedRedis) -> bool:
    """Whether the primary knows its replica, and the replica has all that the primary had a moment ago."""
    ahead, behind = replication(primary), replication(replica)
    known = ahead.get("slave0", {}).get("state") == "online"
    return known and behind.get("slave_repl_offset", -1) >= ahead["master_repl_offset"]


def replication(server: EmbeddedRedis) -> dict[str, Any]:
    """What a server says of its part; asked anew each time, for a failover ends every connection."""
    with open_sync(server.url, timeout_seconds=5) as client:
        return dict(client.info("replication"))


@contextmanager
def watched_by_sentinel() -> Iterator[Watched]:
    with ExitStack() as ending:
        # Since 7.0 a primary sends its data without a file, and first waits 5 s for more replicas to ask.
        primary = ending.enter_context(EmbeddedRedis(extra_args=("--repl-diskless-sync-delay", "0")))
        following = ("--replicaof", "127.0.0.1", str(primary.port))
        replica = ending.enter_context(EmbeddedRedis(extra_args=following))
        # A failover before that would elect nobody.
        eventually(lambda: in_step(primary, replica), saying="the replica does not follow")
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
