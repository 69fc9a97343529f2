"""Changes of the dials and their record, in a real Redis: both or neither, whoever else is at it."""

from __future__ import annotations

import functools
import hashlib

import pytest
from redis.exceptions import ResponseError

from gates import allowlist, kill_switch
from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import OPERATED, AuditRefused, Change, DialsMoved
from tests.builders import an_allowlist
from tests.foreign import LAST_OF_ALL
from tests.redis_server.server import EmbeddedRedis
from tests.worker.adapters.redis.dialling import all_at_once, key, to
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.dials import RedisDials


@pytest.fixture
def dials(redis_client, namespace):
    return RedisDials(redis_client, namespace)


class TestChange:
    def test_is_made_and_recorded_with_everything(self, dials):
        change = to(b"5", reason="why", widened=("rollout", "feature"), override="because")
        began_seconds, _ = dials.client.time()

        made = dials.change(change, dials.read().version)

        assert dials.client.get(key(dials, "rollout_percent")) == b"5"
        assert dials.audit(1) == [made]
        assert (made.dial, made.before, made.after) == ("rollout_percent", None, b"5")
        assert (made.actor, made.command, made.reason) == ("ann", "slotgen rollout", "why")
        assert (made.widened, made.override) == (("rollout", "feature"), "because")
        assert began_seconds <= made.wall_ms // 1000 <= dials.client.time()[0]

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

        all_at_once(*(functools.partial(try_it, b"%d" % each) for each in range(8)))

        assert len(won) == 1
        assert dials.client.get(key(dials, "rollout_percent")) == won[0]
        assert [each.after for each in dials.audit(10)] == won

    def test_is_refused_after_a_redis_that_was_emptied(self, dials):
        dials.change(to(b"5"), dials.read().version)
        version = dials.read().version
        for each in dials.client.keys(f"{dials.namespace}:*"):
            dials.client.delete(each)

        with pytest.raises(DialsMoved):
            dials.change(to(b"9"), version)

        assert dials.client.get(key(dials, "rollout_percent")) is None

    @pytest.mark.parametrize("dial", OPERATED, ids=str)
    def test_of_any_dial_leaves_the_others_alone(self, dials, dial):
        now = {each: f"{each} before".encode() for each in OPERATED}
        dials.client.mset({key(dials, each): value for each, value in now.items()})

        dials.change(Change(dial, b"after", "ann", "x"), dials.read().version)

        found = dials.read()
        assert {each: found.value(each) for each in OPERATED} == now | {dial: b"after"}
        newest = dials.audit(1)[0]
        assert (newest.dial, newest.before, newest.after) == (dial.name, f"{dial} before".encode(), b"after")

    def test_to_what_is_there_already_is_recorded_too(self, dials):
        for _ in range(2):
            dials.change(to(b"5"), dials.read().version)

        assert [(each.before, each.after) for each in dials.audit(10)] == [(b"5", b"5"), (None, b"5")]

    def test_that_cannot_be_recorded_is_not_made(self, dials):
        version = dials.read().version
        dials.client.set(f"{dials.namespace}:audit", "a string, where the record belongs")

        with pytest.raises(AuditRefused):
            dials.change(to(b"5"), version)

        assert dials.client.get(key(dials, "rollout_percent")) is None

    def test_is_made_though_what_a_raw_command_did_cannot_be_noted(self, dials):
        dials.client.xadd(f"{dials.namespace}:audit:noticed", {"dial": "kill"}, id=LAST_OF_ALL)
        dials.client.set(key(dials, "feature"), "by hand")

        dials.change(to(b"5"), dials.read().version)

        assert dials.client.get(key(dials, "rollout_percent")) == b"5"
        # It is noted once it can be.
        dials.client.delete(f"{dials.namespace}:audit:noticed")
        dials.read()
        (noticed,) = [each for each in dials.audit(10) if each.noticed]
        assert (noticed.dial, noticed.after) == ("feature", b"by hand")

    @pytest.mark.parametrize("part", ["audit", "audit:noticed", "audit:seen", "audit:live"])
    def test_that_is_refused_has_not_released_the_brake(self, dials, part):
        dials.client.set(key(dials, "kill"), "true")
        version = dials.read().version
        dials.client.delete(key(dials, part))
        dials.client.set(key(dials, part), "a string, where a part of the record belongs")

        with pytest.raises((AuditRefused, DialsMoved)):
            dials.change(Change(kill_switch.DIAL, b"false", "ann", "slotgen resume"), version)

        assert dials.client.get(key(dials, "kill")) == b"true"

    def test_that_a_frozen_redis_finds_when_it_thaws_is_not_made_any_more(self, namespace):
        with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=0.3) as client:
            dials = RedisDials(client, namespace)
            # From here on Redis knows the script by its digest.
            version = f"{dials.change(to(b'5'), dials.read().version).audit_id} 0-0"
            given_up_ms = dials._given_up_ms()
            server.freeze()
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(RedisDials, "_given_up_ms", lambda _: given_up_ms)
                with pytest.raises(StoreUnavailable):
                    dials.change(to(b"9"), version)
            server.thaw()

            assert dials.read().raw["rollout_percent"] == b"5"
            assert dials.change(to(b"7"), version).before == b"5"

    def test_to_a_policy_of_megabytes_is_made_whole_and_recorded_by_its_digest(self, dials):
        policy = b"x" * 100_000

        made = dials.change(Change(allowlist.DIAL, policy, "ann", "x"), dials.read().version)

        digest = f"sha1 {hashlib.sha1(policy, usedforsecurity=False).hexdigest()}, 100000 bytes".encode()
        assert made.after == digest
        assert dials.read().value(allowlist.DIAL) == policy
        again = dials.change(Change(allowlist.DIAL, b"{}", "ann", "x"), dials.read().version)
        assert (again.before, len(dials.audit(10))) == (digest, 2)


class TestAudit:
    def test_is_newest_first_and_no_more_than_asked_for(self, dials):
        for percent in range(5):
            dials.change(to(b"%d" % percent), dials.read().version)

        assert [each.after for each in dials.audit(3)] == [b"4", b"3", b"2"]
        assert [each.after for each in dials.audit(100)] == [b"4", b"3", b"2", b"1", b"0"]
        assert dials.read().version == f"{dials.audit(1)[0].audit_id} 0-0"

    def test_of_what_workers_say_hides_nothing_that_a_command_did(self, dials):
        dials.change(to(b"5"), dials.read().version)
        for _ in range(20):
            said = {"dial": "kill", "actor": "x", "widened": "rollout", "redis_user": "worker"}
            dials.client.xadd(f"{dials.namespace}:audit:noticed", said)

        *noticed, by_command = dials.audit_of_each(10)

        assert (by_command.after, by_command.noticed) == (b"5", False)
        assert {(each.noticed, each.widened, each.redis_user) for each in noticed} == {(True, (), "worker")}
        assert dials.audit(10) == noticed

    def test_that_others_have_made_too_large_is_read_no_further(self, dials):
        dials.change(to(b"5"), dials.read().version)
        for _ in range(4):
            said = {"dial": "kill", "reason": b"x" * 40_000_000}
            dials.client.xadd(f"{dials.namespace}:audit:noticed", said)
        before = dials.client.info("stats")["total_net_output_bytes"]

        noticed = [each for each in dials.audit(10) if each.noticed]
        last = dials.last_changes()

        assert [len(each.reason) for each in noticed] == [1 << 17] * 2
        assert (last["kill"].noticed, last["rollout_percent"].after) == (True, b"5")
        assert dials.client.info("stats")["total_net_output_bytes"] - before < 1_000_000

    def test_of_nothing_is_empty(self, dials):
        assert dials.audit(10) == []
        assert dials.read().version == "0-0 0-0"

    def test_is_bounded(self, dials):
        pipe = dials.client.pipeline(transaction=False)
        for _ in range(10_500):
            pipe.xadd(f"{dials.namespace}:audit", {"dial": "feature"})
        pipe.execute()

        dials.change(to(b"5"), dials.read().version)

        # Redis trims whole nodes of a hundred.
        assert 10_000 <= dials.client.xlen(f"{dials.namespace}:audit") <= 10_100


class TestEngage:
    def test_sets_and_records(self, dials):
        dials.client.set(key(dials, "kill"), "false")

        assert dials.engage("ann", "slotgen kill", "smoke").recorded

        newest = dials.audit(1)[0]
        assert dials.client.get(key(dials, "kill")) == b"true"
        assert (newest.before, newest.after, newest.reason) == (b"false", b"true", "smoke")
        assert (newest.noticed, newest.redis_user) == (False, "default")
        # It is accounted for: nobody takes it for a raw command.
        dials.read()
        assert dials.audit(1) == [newest]

    def test_of_a_key_of_another_type_replaces_it(self, dials):
        dials.client.lpush(key(dials, "kill"), "false")

        assert dials.engage("ann", "slotgen kill", "").by == "SET"
        assert dials.client.get(key(dials, "kill")) == b"true"

    def test_goes_on_when_the_record_cannot_be_written(self, dials):
        dials.client.set(key(dials, "kill"), "false")
        dials.client.set(f"{dials.namespace}:audit", "a string, where the record belongs")

        engaged = dials.engage("ann", "slotgen kill", "")

        assert (engaged.by, engaged.recorded) == ("SET", False)
        assert dials.client.get(key(dials, "kill")) == b"true"

    def test_is_recorded_though_what_a_raw_command_did_cannot_be_noted(self, dials):
        dials.client.xadd(f"{dials.namespace}:audit:noticed", {"dial": "kill"}, id=LAST_OF_ALL)
        dials.client.set(key(dials, "kill"), "false")

        assert dials.engage("ann", "slotgen kill", "smoke").recorded

    def test_needs_no_version_and_moves_the_dials_for_whoever_has_one(self, dials):
        version = dials.read().version

        dials.engage("ann", "slotgen kill", "")

        with pytest.raises(DialsMoved):
            dials.change(to(b"5"), version)

    def test_can_tell_its_pull_from_anybody_elses(self, dials):
        dials.engage("ann", "slotgen drill", "", value=b" true ")

        assert dials.client.get(key(dials, "kill")) == b" true "
        assert dials.audit(1)[0].after == b" true "


class TestTroubledRedis:
    def test_out_of_memory_nothing_widens_and_the_brake_still_works(self, namespace):
        with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
            dials = RedisDials(client, namespace)
            client.set(key(dials, "kill"), "false")
            client.set(key(dials, "allowlist"), an_allowlist())
            client.config_set("maxmemory", "1")

            # A raw change that nobody has recorded yet: even then dials are read, and a worker goes on.
            dials.notice()
            now = dials.read()
            assert now.value(kill_switch.DIAL) == b"false"
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

    def test_one_that_is_away_is_said_to_be_unavailable(self, namespace):
        with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
            refuse_all(RedisDials(client, namespace))

    def test_one_that_is_frozen_is_said_to_be_unavailable(self, namespace):
        with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=0.1) as client:
            server.freeze()
            refuse_all(RedisDials(client, namespace))


def refuse_all(dials):
    for call in (
        dials.read,
        dials.notice,
        lambda: dials.change(to(b"5"), "0-0 0-0"),
        lambda: dials.audit(1),
        lambda: dials.engage("a", "b", ""),
    ):
        with pytest.raises(StoreUnavailable):
            call()
