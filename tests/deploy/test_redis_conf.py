"""The shipped Redis configuration is one that a worker does not warn of."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.safety import MOST_BULK_BYTES, bulk_bytes, hazards
from worker.adapters.redis.dial_keys import TABLE

pytestmark = pytest.mark.thorough

CONF = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "redis.conf"
COMPOSE = CONF.parents[1] / "compose.yaml"


def test_a_redis_that_is_set_so_has_no_hazards():
    lines = [line.split(maxsplit=1) for line in CONF.read_text().splitlines() if not line.startswith("#")]
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        assert hazards(client) != []
        for name, value in lines:
            client.config_set(name, value)

        assert hazards(client) == []
        assert bulk_bytes(client) == MOST_BULK_BYTES
        assert max(each.entry_bytes for each in TABLE if isinstance(each.entry_bytes, int)) < MOST_BULK_BYTES
        # Until its first append-only file is whole, it does not end.
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])


def test_its_memory_leaves_room_below_the_container_s():
    limit = re.search(r"redis-data:/data.*?mem_limit: (\d+)g", COMPOSE.read_text(), re.DOTALL)
    bound = re.search(r"^maxmemory (\d+)mb$", CONF.read_text(), re.MULTILINE)

    # Of a rewrite of the append-only file, and of the clients.
    assert int(bound[1]) * 1.5 <= int(limit[1]) * 1024


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
