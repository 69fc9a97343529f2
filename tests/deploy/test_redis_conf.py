"""The shipped Redis configuration is one that a worker does not warn of."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.deploy.redis7 import redis_server
from tests.ports import free_port
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.safety import MOST_BULK_BYTES, bulk_bytes, hazards
from worker.adapters.redis.dial_keys import TABLE

pytestmark = pytest.mark.thorough

CONF = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "redis.conf"
COMPOSE = CONF.parents[1] / "compose.yaml"


@pytest.fixture
def shipped(tmp_path) -> Iterator[redis.Redis]:
    """A Redis of the shipped configuration."""
    port = free_port()
    with (
        open_sync(f"redis://127.0.0.1:{port}/0", timeout_seconds=30) as client,
        redis_server(tmp_path, [CONF, "--port", str(port), "--bind", "127.0.0.1"], client),
    ):
        yield client


def test_a_redis_that_is_set_so_has_no_hazards(shipped):
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        assert hazards(client) != []

    assert hazards(shipped) == []
    assert bulk_bytes(shipped) == MOST_BULK_BYTES
    assert max(each.entry_bytes for each in TABLE if isinstance(each.entry_bytes, int)) < MOST_BULK_BYTES


def mb_of(setting: str) -> int:
    return int(re.search(rf"^{setting} (?:normal )?(\d+)mb", CONF.read_text(), re.MULTILINE)[1])


def test_its_memory_leaves_room_below_the_container_s():
    limit = re.search(r"redis-data:/data.*?mem_limit: (\d+)g", COMPOSE.read_text(), re.DOTALL)

    # Of a rewrite of the append-only file.
    assert mb_of("maxmemory") * 1.5 <= int(limit[1]) * 1024
    assert mb_of("maxmemory") + mb_of("maxmemory-clients") < int(limit[1]) * 1024
    # The largest answer there is fits.
    assert MOST_BULK_BYTES < mb_of("client-output-buffer-limit") * 2**20 < mb_of("maxmemory-clients") * 2**20


@pytest.mark.parametrize("connections", [1, 4])
def test_whoever_asks_and_does_not_read_is_cut_off_and_everybody_else_served(shipped, connections):
    shipped.sadd("large", b"x" * 30_000_000)
    port = shipped.connection_pool.connection_kwargs["port"]
    peak_bytes = []

    def are_cut_off() -> bool:
        peak_bytes.append(shipped.info("memory")["used_memory_rss"])
        return len(shipped.client_list()) == 1

    with ExitStack() as deaf:
        for _ in range(connections):
            client = deaf.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"*2\r\n$8\r\nSMEMBERS\r\n$5\r\nlarge\r\n" * 40)
        eventually(are_cut_off, within_seconds=60)
        assert shipped.set("slotgen:kill", "true")
        assert shipped.lpush("slotgen", "x")

    assert max(peak_bytes) < 1024**3


def test_it_refuses_a_larger_message_before_it_is_stored():
    limit = re.search(r"^proto-max-bulk-len (\w+)$", CONF.read_text(), re.MULTILINE)[1]
    with EmbeddedRedis(extra_args=("--proto-max-bulk-len", limit)) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as producer:
            # The length alone: not a byte of the message has come.
            producer.sendall(b"*3\r\n$5\r\nLPUSH\r\n$7\r\nslotgen\r\n$%d\r\n" % (MOST_BULK_BYTES + 1))
            refusal = producer.recv(1024)
        with open_sync(server.url, timeout_seconds=5) as client:
            assert client.exists("slotgen") == 0
    assert refusal.startswith(b"-ERR Protocol error: invalid bulk length")
