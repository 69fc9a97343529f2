"""What a client does about a Redis that hangs: one attempt, as long as it was given."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_async, open_connection, open_sync

TIMEOUT_SECONDS = 0.05


def ask(url):
    with open_sync(url, timeout_seconds=TIMEOUT_SECONDS) as client:
        client.ping()


def ask_on_a_connection_of_its_own(url):
    connection = open_connection(url, TIMEOUT_SECONDS, protocol=3)
    try:
        connection.connect()
    finally:
        connection.disconnect()


def ask_on_a_loop(url):
    async def ping():
        async with open_async(url, timeout_seconds=TIMEOUT_SECONDS) as client:
            await client.ping()

    asyncio.run(ping())


@pytest.mark.parametrize("ask", [ask, ask_on_a_connection_of_its_own, ask_on_a_loop])
def test_a_frozen_redis_is_tried_once(ask):
    with EmbeddedRedis() as server:
        before = connections(server)
        server.freeze()

        with pytest.raises(RedisTimeoutError):
            ask(server.url)

        server.thaw()
        # One for the attempt, and one to ask for their number: it is taken after those that came before it.
        assert connections(server) - before == 2


def connections(server):
    with open_sync(server.url, timeout_seconds=30) as client:
        return client.info("stats")["total_connections_received"]


def test_every_wait_of_a_socket_has_the_timeout():
    with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.123) as client:
        options = client.get_connection_kwargs()

    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.123, 0.123)
