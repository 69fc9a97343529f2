"""Each thing that a Redis can be: what our one translation makes of it. Real ones, where they can be had."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

import kombu.exceptions
import pytest
import redis
from celery import Celery
from redis.exceptions import RedisError

from tasks.errors import StoreUnavailable
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import address_of, open_async, open_sync
from worker.adapters.redis.errors import Cause, RedisUnavailable, cause_of, unavailable
from worker.adapters.redis.scripts import LuaScript

NOWHERE = "redis://127.0.0.1:1/0"
# What a command of a script says is wrapped in a sentence of the script's, and must come to the same.
SET_IN_A_SCRIPT = LuaScript("return redis.call('SET', KEYS[1], 'x')")


def write(client):
    client.set("key", "x")


def write_in_a_script(client):
    SET_IN_A_SCRIPT.run(client, ["key"])


def caught(act, client):
    with pytest.raises((RedisError, OSError)) as raised:
        act(client)
    return cause_of(raised.value)


@pytest.fixture
def server():
    with EmbeddedRedis() as started:
        yield started


@pytest.fixture
def client(server):
    with open_sync(server.url, timeout_seconds=30) as opened:
        yield opened


@contextmanager
def full(server, client):
    client.config_set("maxmemory", 1)
    yield client


@contextmanager
def replica(server, client):
    client.replicaof("127.0.0.1", 1)
    yield client


@contextmanager
def without_replicas(server, client):
    client.config_set("min-replicas-to-write", 1)
    yield client


@contextmanager
def at_work(server, client):
    client.config_set("lua-time-limit", 1)
    # It writes nothing, so that it can be ended.
    busy = threading.Thread(target=lambda: caught(lambda it: it.eval("while true do end", 0), client))
    busy.start()
    with open_sync(server.url, timeout_seconds=30) as other:
        eventually(lambda: refused(other), saying="the script does not run")
        yield other
        other.script_kill()
    busy.join()


def refused(client):
    try:
        client.ping()
    except RedisError:
        return True
    return False


@contextmanager
def in_a_role(server, client):
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-set"])
    with redis.Redis.from_url(server.url.replace("//", "//reader:x@")) as reader:
        yield reader


@pytest.mark.parametrize("act", [write, write_in_a_script])
@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (full, Cause.FULL),
        (replica, Cause.READ_ONLY),
        (without_replicas, Cause.NO_REPLICAS),
        (at_work, Cause.BUSY),
        (in_a_role, Cause.FORBIDDEN),
    ],
)
def test_a_write_that_is_refused_has_its_cause(server, client, state, cause, act):
    with state(server, client) as asked:
        assert caught(act, asked) is cause


@pytest.mark.parametrize("act", [write, write_in_a_script])
def test_a_redis_that_could_not_save_has_its_cause(server, client, tmp_path, act):
    folder = tmp_path / "gone"
    folder.mkdir()
    client.config_set("save", "3600 1")
    client.config_set("dir", str(folder))
    folder.rmdir()
    client.bgsave()
    eventually(
        lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", saying="the save did not fail"
    )

    assert caught(act, client) is Cause.UNSAVED


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.lpush("text", "x"),
        lambda client: LuaScript("redis.call('LPUSH', KEYS[1], 'x')").run(client, ["text"]),
    ],
    ids=["command", "script"],
)
def test_a_key_of_another_type_has_its_cause(server, client, act):
    client.set("text", "x")

    assert caught(act, client) is Cause.WRONG_TYPE


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.execute_command("NOSUCHCOMMAND"),
        lambda client: LuaScript("redis.call('INCR', KEYS[1], 'too', 'many')").run(client, ["key"]),
        lambda client: LuaScript("no Lua").run(client, []),
    ],
    ids=["unknown", "wrong", "no Lua"],
)
def test_any_other_refusal_is_one(client, act):
    assert caught(act, client) is Cause.REFUSED


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_a_redis_that_wants_another_password_has_its_cause(server, client, password):
    client.config_set("requirepass", "right")

    with redis.Redis.from_url(server.url.replace("//", f"//{password}")) as asked:
        assert caught(write, asked) is Cause.LOCKED


def test_a_redis_with_no_room_for_a_connection_has_its_cause(server, client):
    client.config_set("maxclients", 1)

    with open_sync(server.url) as another:
        assert caught(write, another) is Cause.CROWDED
    client.config_set("maxclients", 100)


def test_a_frozen_redis_is_slow_and_one_that_was_killed_away(server, client):
    with open_sync(server.url, timeout_seconds=0.1) as hasty:
        server.freeze()
        assert caught(write, hasty) is Cause.SLOW
        server.thaw()
    server.kill()
    assert caught(write, client) is Cause.AWAY


def test_sentinels_that_name_no_primary_have_their_cause():
    with open_sync("sentinel://127.0.0.1:1/service", timeout_seconds=1) as client:
        assert caught(write, client) is Cause.NO_PRIMARY


# What no server can be brought to within a test, as it would say it.
@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("LOADING Redis is loading the dataset in memory", Cause.LOADING),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Cause.READ_ONLY),
        ("NOAUTH Authentication required.", Cause.LOCKED),
        ("DENIED Redis is running in protected mode", Cause.LOCKED),
        ("BUSYGROUP Consumer Group name already exists", Cause.REFUSED),
    ],
)
def test_a_reply_has_its_cause(redis_client, said, cause):
    assert (
        caught(lambda client: client.eval("return redis.error_reply(ARGV[1])", 0, said), redis_client)
        is cause
    )


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TimeoutError(), Cause.SLOW),
        (ConnectionResetError(), Cause.AWAY),
        (redis.exceptions.MaxConnectionsError("Too many connections"), Cause.CROWDED),
        (redis.exceptions.AuthorizationError(), Cause.LOCKED),
        (redis.exceptions.DataError("Invalid input of type: 'dict'"), Cause.REFUSED),
    ],
)
def test_an_error_of_the_drivers_own_has_its_cause(error, cause):
    assert cause_of(error) is cause


def test_what_celery_and_kombu_raise_has_the_cause_of_what_they_wrap():
    with (
        Celery(broker=NOWHERE, set_as_current=False) as app,
        pytest.raises(kombu.exceptions.OperationalError) as raised,
    ):
        app.send_task("slotgen.generate", args=[{}], retry=False)

    assert cause_of(raised.value) is Cause.AWAY


def test_the_one_error_names_address_cause_and_remedy():
    with open_sync(NOWHERE) as client, pytest.raises(StoreUnavailable) as raised, unavailable(client):
        client.ping()

    assert isinstance(raised.value, RedisUnavailable)
    assert (raised.value.address, raised.value.cause, raised.value.error) == (
        NOWHERE,
        Cause.AWAY,
        "ConnectionError",
    )
    assert str(raised.value) == (
        "Redis at redis://127.0.0.1:1/0 did not answer (ConnectionError); "
        "start it, or correct SLOTGEN_REDIS_URL"
    )


def test_a_loop_raises_the_same_error():
    async def ask():
        async with open_async(NOWHERE) as client:
            await RedisBatches(client).command("PING")

    with pytest.raises(RedisUnavailable) as raised:
        asyncio.run(ask())

    assert (raised.value.address, raised.value.cause) == (NOWHERE, Cause.AWAY)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@127.0.0.1:1/2", "redis://127.0.0.1:1/2"),
        ("rediss://:secret@redis.example?ssl_cert_reqs=required", "rediss://redis.example:6379/0"),
        ("unix://user:secret@/run/redis.sock?db=3", "unix:///run/redis.sock"),
        (
            "sentinel://user:secret@a:1,b/service/2?sentinel_password=secret",
            "sentinel://a:1,b:26379/service/2",
        ),
    ],
)
def test_an_address_is_shown_without_secrets(url, shown):
    async def on_a_loop():
        async with open_async(url) as client:
            return address_of(client)

    with open_sync(url) as client:
        assert address_of(client) == shown
    assert asyncio.run(on_a_loop()) == shown
