"""Dials that anybody changes with plain Redis commands: recorded as such, once, and what was live is kept."""

from __future__ import annotations

import pytest

from gates import BrakeState, Ceilings, Controls, kill_switch
from tasks.operations.changes import spend_cap
from tasks.operations.changes.dials import OPERATED, RAW_COMMAND, Change, DialsMoved
from tests.worker.adapters.redis.dialling import all_at_once, key, to
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.console.kill_switch_lever import pull
from worker.adapters.redis.keys import AUDIT, AUDIT_NOTICED, KILL


@pytest.fixture
def dials(redis_client, namespace):
    return RedisDials(redis_client, namespace)


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

        (noticed,) = [each for each in dials.audit(10) if each.noticed]
        assert (noticed.before, noticed.after) == (before, after)
        assert (noticed.actor, noticed.command) == ("unknown", RAW_COMMAND)

    def test_a_key_of_another_type_reads_as_absent(self, dials):
        dials.client.lpush(key(dials, "kill"), "false")

        assert dials.read().value(kill_switch.DIAL) is None
        made = dials.change(Change(kill_switch.DIAL, b"true", "ann", "x"), dials.read().version)
        assert made.after == b"true"
        assert dials.client.get(key(dials, "kill")) == b"true"

    def test_that_change_the_type_are_recorded_once(self, dials):
        dials.change(to(b"5"), dials.read().version)
        dials.client.delete(key(dials, "rollout_percent"))
        dials.client.lpush(key(dials, "rollout_percent"), "5")

        dials.read()
        dials.read()

        assert {(each.before, each.after, each.noticed) for each in dials.audit(10)} == {
            (b"5", None, True),
            (None, b"5", False),
        }
        assert len(dials.audit(10)) == 2

    @pytest.mark.parametrize("undo", [("DEL",), ("SET", "")])
    def test_are_recorded_once_however_many_look(self, dials, undo):
        for command in (("SET", "true"), undo):
            dials.client.execute_command(command[0], key(dials, "feature"), *command[1:])
            all_at_once(*[dials.read] * 8)

        assert [each.after for each in dials.audit(10)] == [b"" if undo[1:] else None, b"true"]

    def test_of_several_dials_are_recorded_each(self, dials):
        dials.client.mset({key(dials, each): "1" for each in OPERATED})

        dials.read()

        assert {each.dial for each in dials.audit(10)} == {each.name for each in OPERATED}
        assert len(dials.audit(10)) == len(OPERATED)

    def test_that_came_before_a_command_are_recorded_before_it(self, dials):
        version = dials.read().version
        dials.client.set(key(dials, "feature"), "true")
        with pytest.raises(DialsMoved):
            dials.change(to(b"5"), version)

        dials.change(to(b"5"), dials.read().version)

        assert [each.command for each in dials.audit(10)] == ["slotgen rollout", RAW_COMMAND]

    def test_of_another_namespace_are_none_of_ours(self, dials):
        RedisDials(dials.client, f"{dials.namespace}-other").change(to(b"5"), "0-0 0-0")

        assert set(dials.read().raw.values()) == {None}
        assert dials.audit(10) == []

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

        assert dials.read().live["rollout_percent"] is None

    def test_stays_what_it_was_while_the_brake_is_on(self, dials):
        dials.client.mset({key(dials, "rollout_percent"): "5", key(dials, "kill"): " FALSE\n"})
        assert dials.read().live["rollout_percent"] == b"5"
        dials.engage("ann", "slotgen kill", "")

        dials.change(to(b"50"), dials.read().version)
        dials.client.delete(key(dials, "rollout_percent"))

        assert dials.read().live["rollout_percent"] == b"5"
        dials.client.set(key(dials, "kill"), "false")
        assert dials.read().live["rollout_percent"] is None

    def test_is_kept_by_a_halt_that_is_the_first_to_look(self, dials):
        dials.client.mset({key(dials, "rollout_percent"): "5", key(dials, "kill"): "false"})

        dials.engage("ann", "slotgen kill", "")
        dials.client.set(key(dials, "rollout_percent"), "100")

        assert live(dials) == (b"5", None, None)

    def test_follows_every_change_while_the_brake_is_off(self, dials):
        dials.client.set(key(dials, "kill"), "false")
        dials.change(to(b"5"), dials.read().version)
        dials.change(Change(spend_cap.DIAL, b"7", "ann", "x"), dials.read().version)
        assert live(dials) == (b"5", None, b"7")

        dials.client.set(key(dials, "feature"), "true")
        assert live(dials) == (b"5", b"true", b"7")
        dials.change(to(None), dials.read().version)
        dials.client.delete(key(dials, "budget_usd"))
        assert live(dials) == (None, b"true", None)

    def test_becomes_what_is_set_when_a_command_releases_the_brake(self, dials):
        dials.client.mset({key(dials, "kill"): "true", key(dials, "rollout_percent"): "5"})
        assert set(dials.read().live.values()) == {None}

        dials.change(Change(kill_switch.DIAL, b"false", "ann", "slotgen resume"), dials.read().version)
        dials.client.set(key(dials, "kill"), "true")

        assert dials.read().live["rollout_percent"] == b"5"

    @pytest.mark.parametrize(
        "kill",
        [
            b"false",
            b"FALSE",
            b" \t\n\v\f\rFalse\r\n",
            b"",
            b"falsey",
            b"fal se",
            b"false\0",
            b"\0false",
            b"false\x1c",
            b"false\xa0",
            b"0",
            b"true",
        ],
    )
    def test_has_the_gates_idea_of_a_brake_that_is_off(self, dials, kill):
        dials.client.set(key(dials, "kill"), kill)

        now = dials.read()

        released = Controls.parse(now.raw, Ceilings()).brake is BrakeState.RELEASED
        assert (now.live["kill"] is not None) == released


def live(dials):
    now = dials.read()
    return now.live["rollout_percent"], now.live["feature"], now.live["budget_usd"]


def test_a_halt_without_a_record_has_one_where_it_ends_a_release(redis_client, namespace):
    kill = KILL(namespace)
    audit = AUDIT(namespace)

    def engaged(*, record):
        return pull(redis_client, namespace, actor="a", command="c", reason="r", record=record).recorded

    redis_client.set(kill, "false")
    assert engaged(record=False)
    entries = redis_client.xlen(audit)
    assert not engaged(record=False)
    assert redis_client.xlen(audit) == entries
    assert engaged(record=True)
    assert redis_client.get(kill) == b"true"


def test_a_raw_halt_is_noticed_once_however_many_follow_it_without_a_record(redis_client, namespace):
    redis_client.set(KILL(namespace), "on")

    for _ in range(20):
        pull(redis_client, namespace, actor="a", command="c", reason="r", record=False)

    assert redis_client.xlen(AUDIT_NOTICED(namespace)) == 1
