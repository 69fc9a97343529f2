"""Changes of the dials and their record, in a real Redis: both or neither, whoever else is at it."""

from __future__ import annotations

import threading

import pytest
from redis.exceptions import ResponseError

from tasks.errors import StoreUnavailable
from tasks.operations.dials import RAW_COMMAND, AuditRefused, Change, Dial, DialsMoved
from tests.builders import an_allowlist
from worker.adapters.redis_clients import open_sync
from worker.adapters.redis_dials import RedisDials
from worker.dev.embedded_redis import EmbeddedRedis


@pytest.fixture
def dials(redis_client, namespace):
    return RedisDials(redis_client, namespace)


def to(percent, **changes):
    return Change(Dial.ROLLOUT_PERCENT, percent, "ann", "slotgen rollout", **changes)


def key(dials, dial):
    return f"{dials.namespace}:{dial}"


class TestChange:
    def test_is_made_and_recorded_with_everything(self, dials):
        change = to(b"5", reason="why", widened=("rollout", "feature"), override="because")

        made = dials.change(change, dials.read().version)

        assert dials.client.get(key(dials, "rollout_percent")) == b"5"
        assert dials.audit(1) == [made]
        assert (made.dial, made.before, made.after) == ("rollout_percent", None, b"5")
        assert (made.actor, made.command, made.reason) == ("ann", "slotgen rollout", "why")
        assert (made.widened, made.override) == (("rollout", "feature"), "because")
        assert abs(made.wall_ms - dials.client.time()[0] * 1000) < 2000

    def test_can_delete_a_key(self, dials):
        dials.change(to(b"5"), dials.read().version)

        made = dials.change(to(None), dials.read().version)

        assert (made.before, made.after) == (b"5", None)
        assert dials.client.exists(key(dials, "rollout_percent")) == 0

    def test_is_refused_when_another_command_came_first(self, dials):
        version = dials.read().version
        dials.change(to(b"5"), version)

        with pytest.raises(DialsMoved):
            dials.change(to(b"9"), version)

        assert dials.client.get(key(dials, "rollout_percent")) == b"5"

    def test_is_refused_when_a_raw_command_came_first(self, dials):
        version = dials.read().version
        dials.client.set(key(dials, "feature"), "true")

        with pytest.raises(DialsMoved):
            dials.change(to(b"9"), version)

        assert dials.client.get(key(dials, "rollout_percent")) is None

    def test_of_two_operators_at_once_one_wins(self, dials):
        version, won = dials.read().version, []

        def try_it(percent):
            try:
                won.append(dials.change(to(percent), version).after)
            except DialsMoved:
                return

        racing = [threading.Thread(target=try_it, args=(b"%d" % each,)) for each in range(8)]
        for each in racing:
            each.start()
        for each in racing:
            each.join()

        assert len(won) == 1
        assert dials.client.get(key(dials, "rollout_percent")) == won[0]


class TestRawCommands:
    @pytest.mark.parametrize(
        ("command", "before", "after"),
        [
            (("SET", "50"), b"5", b"50"),
            (("DEL",), b"5", None),
            (("SET", "\xff"), b"5", "\xff".encode()),
        ],
    )
    def test_are_recorded_as_such(self, dials, command, before, after):
        dials.change(to(b"5"), dials.read().version)

        dials.client.execute_command(command[0], key(dials, "rollout_percent"), *command[1:])
        dials.read()

        newest = dials.audit(1)[0]
        assert (newest.before, newest.after) == (before, after)
        assert (newest.actor, newest.command) == ("unknown", RAW_COMMAND)

    def test_a_key_of_another_type_reads_as_absent(self, dials):
        dials.client.lpush(key(dials, "kill"), "false")

        assert dials.read().value(Dial.KILL) is None
        made = dials.change(Change(Dial.KILL, b"true", "ann", "x"), dials.read().version)
        assert made.after == b"true"
        assert dials.client.get(key(dials, "kill")) == b"true"

    def test_are_recorded_once_however_many_look(self, dials):
        dials.client.set(key(dials, "feature"), "true")

        looking = [threading.Thread(target=dials.read) for _ in range(8)]
        for each in looking:
            each.start()
        for each in looking:
            each.join()

        assert [each.dial for each in dials.audit(10)] == ["feature"]

    def test_a_policy_of_megabytes_is_recorded_by_its_digest(self, dials):
        policy = b"x" * 100_000

        dials.client.set(key(dials, "allowlist"), policy)
        dials.read()
        dials.read()

        (entry,) = dials.audit(10)
        assert entry.after.startswith(b"sha1 ")
        assert entry.after.endswith(b", 100000 bytes")


class TestLive:
    def test_is_nothing_until_the_brake_was_off_once(self, dials):
        dials.client.set(key(dials, "rollout_percent"), "5")

        assert dials.read().live.rollout_percent is None

    def test_stays_what_it_was_while_the_brake_is_on(self, dials):
        dials.client.mset({key(dials, "rollout_percent"): "5", key(dials, "kill"): " FALSE\n"})
        assert dials.read().live.rollout_percent == b"5"
        dials.engage("ann", "slotgen kill", "")

        dials.change(to(b"50"), dials.read().version)
        dials.client.delete(key(dials, "rollout_percent"))

        assert dials.read().live.rollout_percent == b"5"
        dials.client.set(key(dials, "kill"), "false")
        assert dials.read().live.rollout_percent is None


class TestEngage:
    def test_sets_and_records(self, dials):
        dials.client.set(key(dials, "kill"), "false")

        assert dials.engage("ann", "slotgen kill", "smoke").recorded

        newest = dials.audit(1)[0]
        assert dials.client.get(key(dials, "kill")) == b"true"
        assert (newest.before, newest.after, newest.reason) == (b"false", b"true", "smoke")
        # It is accounted for: nobody takes it for a raw command.
        dials.read()
        assert dials.audit(1) == [newest]

    def test_of_a_key_of_another_type_replaces_it(self, dials):
        dials.client.lpush(key(dials, "kill"), "false")

        assert dials.engage("ann", "slotgen kill", "").by == "SET"
        assert dials.client.get(key(dials, "kill")) == b"true"


class TestTroubledRedis:
    def test_out_of_memory_nothing_widens_and_the_brake_still_works(self, namespace):
        with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
            dials = RedisDials(client, namespace)
            client.set(key(dials, "kill"), "false")
            client.set(key(dials, "allowlist"), an_allowlist())
            client.config_set("maxmemory", "1")

            # A raw change that nobody has recorded yet: even then the dials can be read.
            now = dials.read()
            assert now.value(Dial.KILL) == b"false"
            with pytest.raises(AuditRefused):
                dials.change(to(b"50"), now.version)
            assert client.get(key(dials, "rollout_percent")) is None

            engaged = dials.engage("ann", "slotgen kill", "")

            assert (engaged.by, engaged.recorded) == ("DEL", False)
            assert client.get(key(dials, "kill")) is None

    def test_a_user_without_scripts_can_still_pull_the_brake(self, namespace):
        with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
            client.execute_command("ACL", "SETUSER", "default", "-@scripting")
            with pytest.raises(ResponseError):
                client.eval("return 1", 0)

            engaged = RedisDials(client, namespace).engage("ann", "slotgen kill", "")

            assert (engaged.by, engaged.recorded) == ("SET", False)
            assert client.get(f"{namespace}:kill") == b"true"

    def test_one_that_does_not_answer_is_said_to_be_unavailable(self, namespace):
        with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
            dials = RedisDials(client, namespace)
            for call in (dials.read, lambda: dials.audit(1), lambda: dials.engage("a", "b", "")):
                with pytest.raises(StoreUnavailable):
                    call()
