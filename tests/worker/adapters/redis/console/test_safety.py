"""What a worker warns of, on real servers that are set that way."""

from __future__ import annotations

import pytest

from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.safety import hazards


def settings_of(client):
    return [each.setting for each in hazards(client)]


def test_a_safe_server_has_none():
    with EmbeddedRedis(persistent=True) as server, open_sync(server.url, timeout_seconds=5) as client:
        assert hazards(client) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_eviction_endangers_the_brake(policy):
    with EmbeddedRedis(persistent=True) as server, open_sync(server.url, timeout_seconds=5) as client:
        client.config_set("maxmemory-policy", policy)

        (hazard,) = hazards(client)

    assert (hazard.setting, hazard.value) == ("maxmemory-policy", policy)
    assert "noeviction" in hazard.remedy


def test_no_persistence_endangers_the_queue():
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        assert settings_of(client) == ["appendonly"]


def test_a_replica_is_no_place_for_a_fleet():
    with (
        EmbeddedRedis(persistent=True) as primary,
        EmbeddedRedis(persistent=True) as replica,
        open_sync(replica.url, timeout_seconds=5) as client,
    ):
        client.replicaof("127.0.0.1", primary.port)

        assert settings_of(client) == ["role"]
        # It would refuse to end in order while it writes its first append-only file.
        replica.kill()


def test_memory_without_a_bound_ends_by_a_kill():
    with EmbeddedRedis(persistent=True) as server, open_sync(server.url, timeout_seconds=5) as client:
        client.config_set("maxmemory", 0)

        (hazard,) = hazards(client)

    assert (hazard.setting, hazard.value) == ("maxmemory", "0")
    assert "below the memory" in hazard.remedy
