"""Commands of one moment share a round trip, and nothing else: each caller gets its own reply."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.faults.rig.tcp_proxy import TcpProxy
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.errors import Cause, RedisUnavailable
from worker.adapters.redis.scripts import LuaScript

AT_ONCE = 450


def run(url, scenario):
    async def composed():
        async with open_async(url, timeout_seconds=2) as client:
            return await scenario(RedisBatches(client))

    return asyncio.run(composed())


def test_everybody_gets_the_reply_to_his_own_command(redis_server, namespace):
    async def scenario(batches):
        return await asyncio.gather(*(batches.command("ECHO", f"{namespace}-{n}") for n in range(AT_ONCE)))

    assert run(redis_server.url, scenario) == [f"{namespace}-{n}".encode() for n in range(AT_ONCE)]


def test_commands_of_one_moment_share_a_few_round_trips(redis_server, redis_client):
    async def scenario(batches):
        before = redis_client.info("stats")["total_reads_processed"]
        await asyncio.gather(*(batches.command("PING") for _ in range(AT_ONCE)))
        return redis_client.info("stats")["total_reads_processed"] - before

    # One at a time they would be 450 reads; the connection's own first words are a few more.
    assert run(redis_server.url, scenario) < 30


def test_commands_reach_redis_in_the_order_in_which_they_were_given(redis_server, redis_client, namespace):
    async def scenario(batches):
        await asyncio.gather(*(batches.command("RPUSH", namespace, n) for n in range(AT_ONCE)))

    run(redis_server.url, scenario)

    assert redis_client.lrange(namespace, 0, -1) == [str(n).encode() for n in range(AT_ONCE)]


def test_a_refused_command_is_its_callers_alone(redis_server, namespace):
    async def scenario(batches):
        return await asyncio.gather(
            batches.command("SET", namespace, "text"),
            batches.command("LPUSH", namespace, "wrong type"),
            batches.command("GET", namespace),
            return_exceptions=True,
        )

    stored, refused, read = run(redis_server.url, scenario)

    assert isinstance(refused, RedisUnavailable)
    assert refused.cause is Cause.WRONG_TYPE
    assert (stored, read) == (b"OK", b"text")


def test_one_callers_cancellation_leaves_the_others_their_replies(redis_server, redis_client, namespace):
    async def scenario(batches):
        cancelled = asyncio.ensure_future(batches.command("INCR", namespace))
        other = asyncio.ensure_future(batches.command("ECHO", "other"))
        await asyncio.sleep(0)
        cancelled.cancel()
        return await other

    assert run(redis_server.url, scenario) == b"other"
    # It is not taken back: what was given to Redis is done.
    assert redis_client.get(namespace) == b"1"


def test_a_redis_that_is_away_is_everybodys_error_and_the_next_command_tries_again():
    async def scenario(batches):
        first = await asyncio.gather(*(batches.command("PING") for _ in range(3)), return_exceptions=True)
        return [*first, *await asyncio.gather(batches.command("PING"), return_exceptions=True)]

    found = run("redis://127.0.0.1:1/0", scenario)

    assert [(type(each), each.cause) for each in found] == [(RedisUnavailable, Cause.AWAY)] * 4


def test_after_a_partition_the_first_command_gets_its_own_reply(redis_server):
    async def scenario(batches, proxy):
        proxy.black_hole()
        batches.timeout_seconds = 0.1
        with pytest.raises(RedisUnavailable):
            await batches.command("ECHO", "given up")
        batches.timeout_seconds = 30
        second = batches.command("ECHO", "own")
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.to_thread(proxy.heal)
        return await second

    assert behind_a_proxy(redis_server, scenario) == b"own"


def test_a_connection_that_was_cut_off_while_it_was_idle_is_replaced(redis_server):
    async def scenario(batches, proxy):
        await batches.command("PING")
        await asyncio.to_thread(proxy.cut)
        await asyncio.to_thread(proxy.heal)
        return await batches.command("ECHO", "own")

    assert behind_a_proxy(redis_server, scenario) == b"own"


def behind_a_proxy(server, scenario):
    with TcpProxy(urlsplit(server.url).port) as proxy:
        return run(f"redis://127.0.0.1:{proxy.port}/1", lambda batches: scenario(batches, proxy))


def test_a_script_that_redis_has_forgotten_is_told_again(redis_server, redis_client, namespace):
    script = LuaScript("return redis.call('INCR', KEYS[1]) + ARGV[1]")

    async def scenario(batches):
        first = await batches.run(script, [namespace], 10)
        redis_client.script_flush()
        return first, await batches.run(script, [namespace], 10)

    assert run(redis_server.url, scenario) == (11, 12)


def test_whoever_waits_when_the_sending_is_cancelled_is_cancelled_too(redis_server):
    async def scenario(batches):
        waiting = [asyncio.ensure_future(batches.command("PING")) for _ in range(3)]
        await asyncio.sleep(0)
        batches._commands._task.cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        return ended, await batches.command("ECHO", "again")

    ended, again = run(redis_server.url, scenario)

    assert {type(each) for each in ended} == {asyncio.CancelledError}
    assert again == b"again"


@pytest.mark.parametrize("text", ["return 1", "return 'é'"])
def test_a_scripts_digest_is_the_one_that_redis_computes(redis_client, text):
    assert LuaScript(text).sha == redis_client.script_load(text)
