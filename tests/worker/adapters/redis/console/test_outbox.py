"""What producers read of a real Redis, however much of it there is."""

from __future__ import annotations

import pytest

from tasks.errors import StoreUnavailable
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.outbox import RedisOutbox
from worker.adapters.redis.keys import TASK_META

IDS = [f"task-{each}" for each in range(200)]


def test_results_are_read_in_pieces_that_redis_is_willing_to_tell():
    bounded = ("--client-output-buffer-limit", "normal", "1mb", "0", "0")
    with EmbeddedRedis(extra_args=bounded) as server, open_sync(server.url, timeout_seconds=10) as client:
        for each in IDS[50:]:
            client.set(TASK_META(each), b"x" * 100_000)

        found = RedisOutbox(client, "slotgen").stored(IDS)

    assert [each and len(each) for each in found] == [None] * 50 + [100_000] * 150


def test_one_result_that_redis_does_not_tell_is_an_error():
    bounded = ("--client-output-buffer-limit", "normal", "1mb", "0", "0")
    with EmbeddedRedis(extra_args=bounded) as server, open_sync(server.url, timeout_seconds=10) as client:
        client.set(TASK_META(IDS[0]), b"x" * 4_000_000)

        with pytest.raises(StoreUnavailable):
            RedisOutbox(client, "slotgen").stored(IDS[:2])
