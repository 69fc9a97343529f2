"""One real Redis for the tests of a process; each test gets a namespace of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis_client(redis_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with open_sync(redis_server.url, timeout_seconds=5) as client:
        # What earlier tests have left on queues that no worker takes is none of this one's.
        if queues := list(client.scan_iter("_kombu.binding.*")):
            client.delete(*queues)
        yield client


@pytest.fixture
def namespace() -> str:
    return f"ns-{uuid.uuid4().hex[:12]}"
