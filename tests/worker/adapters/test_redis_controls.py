"""The dials as a real Redis gives them, and as a Redis in trouble does not."""

from __future__ import annotations

import socket
import socketserver
import threading
import time

import pytest

from gates import BrakeState, Ceilings
from tests.builders import an_allowlist
from worker.adapters.redis_clients import open_sync
from worker.adapters.redis_controls import RedisControls
from worker.adapters.redis_keys import dial_keys
from worker.dev.embedded_redis import EmbeddedRedis

DEADLINE_SECONDS = 0.25


def source(client, namespace, **changes):
    seen = []
    fields = {
        "client": client,
        "namespace": namespace,
        "ceilings": Ceilings(),
        "deadline_seconds": DEADLINE_SECONDS,
        "observe": lambda controls, seconds: seen.append((controls, seconds)),
    }
    return RedisControls(**(fields | changes)), seen


def commands_processed(client):
    return client.info("stats")["total_commands_processed"]


def test_reads_all_four_dials_in_one_command(redis_client, namespace):
    redis_client.mset(dict(zip(dial_keys(namespace), ["false", "true", "12.5", an_allowlist()], strict=True)))
    controls, seen = source(redis_client, namespace)
    before = commands_processed(redis_client)

    read = controls.read()

    # One for the MGET, one for the INFO that counts.
    assert commands_processed(redis_client) - before == 2
    assert read.brake is BrakeState.RELEASED
    assert (read.feature_enabled, read.rollout_thousandths) == (True, 12_500)
    assert read.allowlist is not None
    assert [each for each, _ in seen] == [read]


def test_each_of_many_reads_is_a_command_of_its_own(redis_client, namespace):
    controls, seen = source(redis_client, namespace)
    before = redis_client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]

    found = controls.read_each(50)

    assert redis_client.info("commandstats")["cmdstat_mget"]["calls"] - before == 50
    assert [each for each, _ in seen] == found
    assert len(found) == 50


class Unhurried(socketserver.BaseRequestHandler):
    """A Redis that takes its time for each MGET, and says OK to whatever a new connection has to say."""

    SECONDS = 0.02
    REPLY = b"*4\r\n$5\r\nfalse\r\n$4\r\ntrue\r\n$3\r\n100\r\n$-1\r\n"

    def handle(self):
        lines = self.request.makefile("rb")
        for line in lines:
            if line.strip() == b"MGET":
                time.sleep(self.SECONDS)
                self.request.sendall(self.REPLY)
            elif line.strip() in {b"CLIENT", b"SELECT"}:
                self.request.sendall(b"+OK\r\n")


def test_each_of_many_reads_has_the_deadline_for_itself(namespace):
    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Unhurried) as server,
        open_sync(f"redis://127.0.0.1:{server.server_address[1]}/0", timeout_seconds=5) as client,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # All of them take twice as long as the deadline of one.
        controls, seen = source(client, namespace, deadline_seconds=20 * Unhurried.SECONDS)
        found = controls.read_each(40)
        server.shutdown()

    assert {each.note for each in found} == {""}
    assert {each.brake for each in found} == {BrakeState.RELEASED}
    assert sum(seconds for _, seconds in seen) > controls.deadline_seconds
    # The next round trip has no more of them than fit into a part of one's deadline.
    assert 1 <= controls.at_once <= 5


def test_small_policies_share_round_trips_by_the_hundred(redis_client, namespace):
    controls, _ = source(redis_client, namespace)
    assert controls.at_once < 200

    for _ in range(3):
        controls.read_each(controls.at_once)

    assert controls.at_once == 200


def test_what_was_read_before_redis_froze_counts_and_the_rest_does_not(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")
    controls, seen = source(redis_client, namespace, deadline_seconds=0.0)

    found = controls.read_each(3)

    assert {each.brake for each in found} == {BrakeState.UNVERIFIED}
    assert len(seen) == 3


def test_an_empty_redis_is_a_stopped_fleet(redis_client, namespace):
    read = source(redis_client, namespace)[0].read()

    assert read.brake is BrakeState.UNVERIFIED
    assert not read.feature_enabled
    assert read.rollout_thousandths == 0


@pytest.mark.parametrize("make", ["lpush", "sadd", "xadd"])
def test_a_key_of_the_wrong_type_denies(redis_client, namespace, make):
    value = {"a": "false"} if make == "xadd" else "false"
    getattr(redis_client, make)(f"{namespace}:kill", value)

    assert source(redis_client, namespace)[0].read().brake is BrakeState.UNVERIFIED


def test_reads_afresh_every_time(redis_client, namespace):
    controls, _ = source(redis_client, namespace)
    states = []
    for value in ("false", "true", "false"):
        redis_client.set(f"{namespace}:kill", value)
        states.append(controls.read().brake)

    assert states == [BrakeState.RELEASED, BrakeState.ENGAGED, BrakeState.RELEASED]


def test_the_environment_can_only_restrict(redis_client, namespace):
    redis_client.mset(dict(zip(dial_keys(namespace), ["false", "true", "50", an_allowlist()], strict=True)))
    ceilings = Ceilings.parse(kill="true", feature="false", rollout_percent="10")

    read = source(redis_client, namespace, ceilings=ceilings)[0].read()

    assert read.brake is BrakeState.ENGAGED
    assert not read.feature_enabled
    assert read.rollout_thousandths == 10_000


def test_a_frozen_redis_is_unverified_within_the_deadline():
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=DEADLINE_SECONDS) as client:
        controls, seen = source(client, "slotgen")
        client.set("slotgen:kill", "false")
        assert controls.read().brake is BrakeState.RELEASED
        server.freeze()

        began = time.monotonic()
        read = controls.read()

        assert read.brake is BrakeState.UNVERIFIED
        assert time.monotonic() - began < DEADLINE_SECONDS + 0.5
        server.thaw()
        assert controls.read().brake is BrakeState.RELEASED
        assert len(seen) == 3


def test_a_dead_redis_is_unverified_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open_sync(f"redis://127.0.0.1:{port}/0", timeout_seconds=DEADLINE_SECONDS) as client:
        began = time.monotonic()

        assert source(client, "slotgen")[0].read().brake is BrakeState.UNVERIFIED
        assert time.monotonic() - began < 0.2


def test_an_answer_after_the_deadline_does_not_count(redis_client, namespace):
    redis_client.set(f"{namespace}:kill", "false")

    read = source(redis_client, namespace, deadline_seconds=0.0)[0].read()

    assert read.brake is BrakeState.UNVERIFIED
