"""The shipped Redis configuration is one that a worker does not warn of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.safety import hazards

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
        # Until its first append-only file is whole, it does not end.
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])


def test_its_memory_leaves_room_below_the_container_s():
    limit = re.search(r"redis-data:/data.*?mem_limit: (\d+)g", COMPOSE.read_text(), re.DOTALL)
    bound = re.search(r"^maxmemory (\d+)mb$", CONF.read_text(), re.MULTILINE)

    # Of a rewrite of the append-only file, and of the clients.
    assert int(bound[1]) * 1.5 <= int(limit[1]) * 1024
