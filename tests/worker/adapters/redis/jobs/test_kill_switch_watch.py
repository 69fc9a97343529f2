"""What the watcher sees of anyone's plain Redis commands, and how it is told of them."""

from __future__ import annotations

import contextlib
import queue
import threading
import time

import pytest
from redis.exceptions import ResponseError

from gates import Ceilings, kill_switch
from tasks.operations.changes.dials import Change
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_connection, open_sync
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.jobs import kill_switch_watch
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.adapters.redis.jobs.kill_switch_watch import KillSwitchWatch
from worker.process.background import Background

# Only so that a failure has a line: whatever is awaited here comes at once, or never.
WAIT_SECONDS = 30
# Longer than any test may take: only what Redis reports can wake the watcher.
NEVER_SECONDS = 1000


class Switch:
    """Notes what it is told, without the repetitions that the poll makes."""

    def __init__(self) -> None:
        self.told: queue.Queue[str] = queue.Queue()
        self.changes: queue.Queue[str] = queue.Queue()
        self.confirmed_mono: queue.Queue[float] = queue.Queue()
        self.reported = 0
        self.last = ""
        self.latch = HaltLatch()

    def released(self, confirmed_mono: float) -> None:
        self.confirmed_mono.put(confirmed_mono)
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


@contextlib.contextmanager
def watching(server, *, poll_seconds=NEVER_SECONDS, timeout_seconds=0.5):
    switch = Switch()
    watch = KillSwitchWatch(
        server.url, "slotgen", Ceilings(), timeout_seconds, switch, switch.latch, poll_seconds
    )
    thread = Background("kill_switch_watch", watch.look, 0, finish=watch.close)
    thread.start()
    try:
        yield switch
    finally:
        # A watcher that waits for a report hears of its end by that of its connection.
        server.kill()
        thread.stop()


@pytest.fixture
def server():
    with EmbeddedRedis() as running:
        yield running


@pytest.fixture
def client(server):
    with open_sync(server.url, timeout_seconds=WAIT_SECONDS) as opened:
        opened.set("slotgen:kill", "false")
        yield opened


@pytest.fixture
def told(server, client):
    """What a watcher that is told by Redis alone hears; it has seen that the brake is off."""
    with watching(server) as switch:
        assert switch.next() == "RELEASED"
        yield switch


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
def test_is_told_of_a_raw_command_by_anyone(client, told, command, word):
    client.execute_command(*command)

    assert told.next() == word
    client.set("slotgen:kill", "false")
    assert told.next() == "RELEASED"


def test_is_told_of_every_one_of_many_changes(client, told):
    for value, word in [("true", "KILL_SWITCH"), ("false", "RELEASED")] * 20:
        client.set("slotgen:kill", value)
        assert told.next() == word


@pytest.mark.parametrize("dial", ["kill", "feature", "rollout_percent", "allowlist"])
def test_reports_a_change_of_any_dial(client, told, dial):
    client.set(f"slotgen:{dial}", "5")

    assert told.changes.get(timeout=WAIT_SECONDS) == "changed"


def test_other_keys_do_not_wake_it(client, told):
    for number in range(100):
        client.set(f"slotgen:answer:{number}", "true")
        client.set(f"other-{number}:kill", "true")
    client.set("slotgen:kill", "true")

    assert told.next() == "KILL_SWITCH"
    assert told.reported == 1
    # Once when it began; awake, it would have looked again.
    assert told.confirmed_mono.qsize() == 1


def test_asks_again_and_again_while_nothing_is_reported(server, client):
    with watching(server, poll_seconds=0.01) as switch:
        confirmed_mono = [switch.confirmed_mono.get(timeout=WAIT_SECONDS) for _ in range(10)]

    assert confirmed_mono == sorted(set(confirmed_mono))


@pytest.mark.parametrize("lacking", ["HELLO", "CLIENT"])
def test_a_server_without_tracking_is_asked_instead(lacking):
    without = ("--rename-command", lacking, "")
    with EmbeddedRedis(extra_args=without) as server, open_sync(server.url, timeout_seconds=5) as client:
        client.set("slotgen:kill", "false")
        with watching(server) as switch:
            assert switch.next() == "RELEASED"

            client.set("slotgen:kill", "true")

            assert switch.next() == "KILL_SWITCH"
            client.set("slotgen:kill", "false")
            assert switch.next() == "RELEASED"
            # Once for the change, and for none of the looks after it.
            assert switch.reported == 1


def test_what_was_changed_while_the_connection_was_lost_is_a_change_too(server, client, told):
    client.client_kill_filter(_type="pubsub")
    client.client_kill_filter(_type="normal", skipme=True)
    client.set("slotgen:kill", "true")

    assert told.next() == "KILL_SWITCH"
    assert told.reported == 1


def test_no_report_is_lost_among_its_own_questions(server, client):
    client.delete("slotgen:kill")
    # It asks without a pause, so that many a report comes between a question and its answer.
    with watching(server, poll_seconds=0) as switch:
        assert switch.next() == "KILL_UNVERIFIED"

        for _ in range(50):
            client.set("slotgen:kill", "true")
            assert switch.changes.get(timeout=WAIT_SECONDS) == "changed"

    assert switch.reported == 50


def test_says_nothing_while_redis_is_frozen_and_recovers_by_itself(server, client, monkeypatch):
    opened = queue.Queue()

    def noted(*arguments, **options):
        opened.put(arguments)
        return open_connection(*arguments, **options)

    monkeypatch.setattr(kill_switch_watch, "open_connection", noted)
    with watching(server, poll_seconds=0.01, timeout_seconds=0.1) as switch:
        assert switch.next() == "RELEASED"
        server.freeze()
        frozen_mono = time.monotonic()
        with contextlib.suppress(queue.Empty):
            while True:
                opened.get_nowait()
        # It gives up a connection that is silent, and then one that says nothing from the beginning.
        for _ in range(2):
            opened.get(timeout=WAIT_SECONDS)

        assert all(asked_mono < frozen_mono for asked_mono in switch.confirmed_mono.queue)
        server.thaw()
        client.set("slotgen:kill", "true")
        assert switch.next() == "KILL_SWITCH"


def test_follows_a_restarted_redis(server, told):
    server.restart()

    # Without persistence the key is gone: a restarted Redis is a stopped fleet.
    assert told.next() == "KILL_UNVERIFIED"
    with open_sync(server.url, timeout_seconds=WAIT_SECONDS) as client:
        client.set("slotgen:kill", "false")
    assert told.next() == "RELEASED"


class TestMessages:
    """What halts where Redis refuses every write."""

    @pytest.mark.parametrize("message", ["true", "1", "", "halt"])
    def test_a_message_halts_though_the_key_is_false(self, client, told, message):
        assert client.publish("slotgen:kill:0", message) == 1

        assert told.next() == "KILL_SWITCH"
        assert told.latch.over(b"false") == b"true"
        assert told.changes.get(timeout=WAIT_SECONDS) == "changed"
        assert told.reported == 1

    def test_one_that_says_false_neither_halts_nor_releases(self, client, told):
        client.publish("slotgen:kill:0", " False ")
        client.publish("slotgen:kill:0", "true")
        assert told.next() == "KILL_SWITCH"
        client.publish("slotgen:kill:0", "false")
        client.set("slotgen:kill", "true")
        client.set("slotgen:kill", "false")
        assert told.next() == "RELEASED"

    def test_holds_look_after_look_until_the_key_is_written(self, server, client):
        with watching(server, poll_seconds=0.01) as switch:
            assert switch.next() == "RELEASED"
            client.publish("slotgen:kill:0", "true")
            assert switch.next() == "KILL_SWITCH"
            for dial in ("feature", "rollout_percent", "allowlist"):
                client.set(f"slotgen:{dial}", "true")
                switch.changes.get(timeout=WAIT_SECONDS)
            assert switch.latch.halted
            assert switch.told.empty()

            # The same word as before: who writes it releases.
            client.set("slotgen:kill", "false")

            assert switch.next() == "RELEASED"
            assert not switch.latch.halted

    @pytest.mark.parametrize("command", [["FLUSHALL"], ["DEL", "slotgen:kill"]])
    def test_a_key_that_is_gone_has_its_own_word(self, client, told, command):
        client.publish("slotgen:kill:0", "true")
        assert told.next() == "KILL_SWITCH"

        client.execute_command(*command)

        assert told.next() == "KILL_UNVERIFIED"

    def test_holds_through_a_redis_that_was_away(self):
        with EmbeddedRedis(persistent=True) as server, open_sync(server.url, timeout_seconds=5) as client:
            client.set("slotgen:kill", "false")
            with watching(server, poll_seconds=0.01) as switch:
                assert switch.next() == "RELEASED"
                client.publish("slotgen:kill:0", "true")
                assert switch.next() == "KILL_SWITCH"
                server.restart()
                eventually(lambda: client.pubsub_numsub("slotgen:kill:0") == [(b"slotgen:kill:0", 1)])
                assert client.get("slotgen:kill") == b"false"
                client.set("slotgen:feature", "true")
                switch.changes.get(timeout=WAIT_SECONDS)

                assert switch.latch.halted
                client.set("slotgen:kill", "false")
                assert switch.next() == "RELEASED"

    def test_that_of_another_database_is_not_ours(self, client, told):
        assert client.publish("slotgen:kill:3", "true") == 0

    @pytest.mark.parametrize("without", [(), ("--rename-command", "HELLO", "")])
    def test_a_role_that_may_not_hear_them_follows_the_key(self, without):
        with EmbeddedRedis(extra_args=without) as server, open_sync(server.url, timeout_seconds=5) as client:
            client.set("slotgen:kill", "false")
            client.execute_command("ACL", "SETUSER", "default", "resetchannels")
            with watching(server) as switch:
                assert switch.next() == "RELEASED"

                client.set("slotgen:kill", "true")

                assert switch.next() == "KILL_SWITCH"

    def test_a_server_that_is_busy_as_it_connects_is_not_taken_for_one_without_them(
        self, server, client, caplog
    ):
        client.config_set("lua-time-limit", "1")
        patient = open_sync(server.url, timeout_seconds=WAIT_SECONDS)
        script = threading.Thread(target=run_until_killed, args=(patient,))
        script.start()
        eventually(lambda: refused_as_busy(client))
        watch = KillSwitchWatch(server.url, "slotgen", Ceilings(), 0.5, Switch(), HaltLatch())

        with pytest.raises(ResponseError, match=r"BUSY|busy"):
            watch.look()

        client.script_kill()
        script.join()
        assert caplog.records == []

    @pytest.mark.parametrize("lacking", ["HELLO", "CLIENT"])
    def test_a_server_without_tracking_lets_them_be_heard_all_the_same(self, lacking):
        without = ("--rename-command", lacking, "")
        with EmbeddedRedis(extra_args=without) as server, open_sync(server.url, timeout_seconds=5) as client:
            client.set("slotgen:kill", "false")
            with watching(server) as switch:
                assert switch.next() == "RELEASED"

                assert client.publish("slotgen:kill:0", "true") == 1
                assert switch.next() == "KILL_SWITCH"
                assert switch.reported == 1

                client.delete("slotgen:kill")
                assert switch.next() == "KILL_UNVERIFIED"
                client.set("slotgen:kill", "false")
                assert switch.next() == "RELEASED"

                client.publish("slotgen:kill:0", "true")
                assert switch.next() == "KILL_SWITCH"
                # One that comes within a look of the message is not known to be the later.
                eventually(lambda: release(client) or switch.last == "RELEASED")


def run_until_killed(client):
    with pytest.raises(ResponseError):
        client.eval("while true do end", 0)


def refused_as_busy(client):
    try:
        client.ping()
    except ResponseError:
        return True
    return False


def release(client, command="slotgen resume"):
    dials = RedisDials(client, "slotgen")
    dials.change(Change(kill_switch.DIAL, b"false", "ann", command, "it is safe"), dials.read().version)


class TestAway:
    """What is done to the key while the watch has no connection."""

    @pytest.fixture
    def away(self, client, told, monkeypatch):
        """Cut the watch off within, once it was halted by a message."""

        @contextlib.contextmanager
        def cut():
            back = threading.Event()

            def wait(*arguments, **options):
                back.wait(WAIT_SECONDS)
                return open_connection(*arguments, **options)

            client.publish("slotgen:kill:0", "true")
            assert told.next() == "KILL_SWITCH"
            # Its next look, in which it takes note of how far the record is.
            client.set("slotgen:feature", "true")
            for _ in range(2):
                told.changes.get(timeout=WAIT_SECONDS)
            monkeypatch.setattr(kill_switch_watch, "open_connection", wait)
            client.client_kill_filter(_type="pubsub", skipme=True)
            yield
            back.set()
            eventually(lambda: client.pubsub_numsub("slotgen:kill:0") == [(b"slotgen:kill:0", 1)])

        return cut

    def test_a_release_ends_the_halt(self, client, told, away):
        with away():
            release(client)

        assert told.next() == "RELEASED"
        assert not told.latch.halted

    @pytest.mark.parametrize("command", [["SET", "slotgen:kill", "true"], ["DEL", "slotgen:kill"]])
    def test_once_the_key_halts_its_own_word_counts(self, client, told, away, command):
        with away():
            client.execute_command(*command)
        eventually(lambda: not told.latch.halted)

        client.set("slotgen:kill", "false")

        assert told.last == "RELEASED" or eventually(lambda: told.last == "RELEASED")

    def test_nothing_done_leaves_it_halted(self, client, told, away):
        release(client)
        with away():
            # A change of another dial, and a raw command that may have come before the message.
            client.set("slotgen:kill", "true")
            RedisDials(client, "slotgen").read()
            client.set("slotgen:kill", "false")
            RedisDials(client, "slotgen").read()
        client.set("slotgen:feature", "false")
        told.changes.get(timeout=WAIT_SECONDS)

        assert told.latch.halted
