"""What the watcher sees of anyone's plain Redis commands, and how soon."""

from __future__ import annotations

import queue
import time

import pytest

from gates import Ceilings
from worker.adapters import redis_brake_watch
from worker.adapters.redis_brake_watch import RedisBrakeWatch
from worker.adapters.redis_clients import open_sync
from worker.dev.embedded_redis import EmbeddedRedis

WAIT_SECONDS = 10


class Switch:
    """Notes what it is told, without the repetitions that the poll makes."""

    def __init__(self) -> None:
        self.told: queue.Queue[str] = queue.Queue()
        self.changes: queue.Queue[str] = queue.Queue()
        self.reported = 0
        self.last = ""
        self.confirmed_mono: list[float] = []

    def released(self, confirmed_mono: float) -> None:
        self.confirmed_mono.append(confirmed_mono)
        self._tell("RELEASED")

    def engaged(self, reason: str, seen_mono: float, *, reported: bool) -> None:
        assert seen_mono <= time.monotonic()
        self.reported += reported
        self._tell(str(reason))

    def dials_changed(self) -> None:
        self.changes.put("changed")

    def _tell(self, word: str) -> None:
        if word != self.last:
            self.last = word
            self.told.put(word)

    def next(self) -> str:
        return self.told.get(timeout=WAIT_SECONDS)


@pytest.fixture
def watched():
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        client.set("slotgen:kill", "false")
        switch = Switch()
        watch = RedisBrakeWatch(server.url, "slotgen", Ceilings(), 0.5, switch)
        watch.start()
        assert switch.next() == "RELEASED"
        yield server, client, switch
        watch.stop()


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (["SET", "slotgen:kill", "true"], "KILL_SWITCH"),
        (["SET", "slotgen:kill", "garbage"], "KILL_SWITCH"),
        (["DEL", "slotgen:kill"], "KILL_UNVERIFIED"),
        (["FLUSHALL"], "KILL_UNVERIFIED"),
        (["PEXPIRE", "slotgen:kill", "1"], "KILL_UNVERIFIED"),
        (["RENAME", "slotgen:kill", "elsewhere"], "KILL_UNVERIFIED"),
    ],
)
def test_sees_a_raw_command_by_anyone(watched, command, word):
    _, client, switch = watched
    began = time.monotonic()

    client.execute_command(*command)

    assert switch.next() == word
    assert time.monotonic() - began < 2
    client.set("slotgen:kill", "false")
    assert switch.next() == "RELEASED"


def test_is_told_by_redis_rather_than_by_its_poll(watched):
    _, client, switch = watched
    waits = []
    for _ in range(20):
        for value, word in (("true", "KILL_SWITCH"), ("false", "RELEASED")):
            began = time.monotonic()
            client.set("slotgen:kill", value)
            assert switch.next() == word
            waits.append(time.monotonic() - began)

    # The poll alone would take 125 ms in the median.
    assert sorted(waits)[len(waits) // 2] < 0.05


@pytest.mark.parametrize("lacking", ["HELLO", "CLIENT"])
def test_a_server_without_tracking_is_asked_instead(lacking):
    without = ("--rename-command", lacking, "")
    with EmbeddedRedis(extra_args=without) as server, open_sync(server.url, timeout_seconds=5) as client:
        client.set("slotgen:kill", "false")
        switch = Switch()
        watch = RedisBrakeWatch(server.url, "slotgen", Ceilings(), 0.5, switch)
        watch.start()
        assert switch.next() == "RELEASED"

        client.set("slotgen:kill", "true")

        assert switch.next() == "KILL_SWITCH"
        assert switch.reported == 0
        watch.stop()


@pytest.mark.parametrize("dial", ["kill", "feature", "rollout_percent", "allowlist"])
def test_reports_a_change_of_any_dial(watched, dial):
    _, client, switch = watched

    client.set(f"slotgen:{dial}", "5")

    assert switch.changes.get(timeout=WAIT_SECONDS) == "changed"


def test_no_report_is_lost_among_its_own_questions(monkeypatch):
    # It asks without a pause, so that many a report comes between a question and its answer.
    monkeypatch.setattr(redis_brake_watch, "_POLL_SECONDS", 0)
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        switch = Switch()
        watch = RedisBrakeWatch(server.url, "slotgen", Ceilings(), 0.5, switch)
        watch.start()
        assert switch.next() == "KILL_UNVERIFIED"

        for _ in range(50):
            client.set("slotgen:kill", "true")
            assert switch.changes.get(timeout=WAIT_SECONDS) == "changed"
        watch.stop()

    assert switch.reported == 50


def test_other_keys_do_not_wake_it(watched):
    _, client, switch = watched

    client.set("slotgen:answer:1", "true")
    client.set("other:kill", "true")
    client.set("slotgen:kill", "true")

    assert switch.next() == "KILL_SWITCH"
    assert switch.reported == 1


def test_confirms_again_and_again_while_nothing_changes(watched):
    _, _, switch = watched
    deadline = time.monotonic() + WAIT_SECONDS

    while len(switch.confirmed_mono) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # the poll is the thing under test: there is nothing to await

    assert switch.confirmed_mono == sorted(switch.confirmed_mono)


def test_says_nothing_while_redis_is_frozen_and_recovers_by_itself(watched):
    server, client, switch = watched
    server.freeze()
    confirmations = len(switch.confirmed_mono)
    time.sleep(1)  # longer than poll and timeout together: silence cannot be awaited
    assert len(switch.confirmed_mono) <= confirmations + 1

    server.thaw()
    client.set("slotgen:kill", "true")

    assert switch.next() == "KILL_SWITCH"


def test_follows_a_restarted_redis(watched):
    server, _, switch = watched
    server.restart()

    # Without persistence the key is gone: a restarted Redis is a stopped fleet.
    assert switch.next() == "KILL_UNVERIFIED"
    with open_sync(server.url, timeout_seconds=5) as client:
        client.set("slotgen:kill", "false")
    assert switch.next() == "RELEASED"
