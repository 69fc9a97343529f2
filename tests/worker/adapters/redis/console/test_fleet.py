"""The living workers in a real Redis, and their word that a halt is done."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from tasks.errors import StoreUnavailable
from tasks.operations.fleet import Confirmation, WorkerInfo
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.fleet import RedisFleet, encode
from worker.adapters.redis.jobs.heartbeat import Heartbeat
from worker.adapters.redis.keys import HALTS, WORKER_INFO, WORKERS


@pytest.fixture
def fleet(redis_client, namespace):
    return RedisFleet(redis_client, namespace)


def a_card(worker_id, wall_ms=1):
    return WorkerInfo(worker_id, "box", 7, "0.1.0", "c", 0, None, None, True, wall_ms, wall_ms)


def beat(redis_client, namespace, worker_id, started_ms):
    heartbeat = Heartbeat(
        redis_client, namespace, worker_id, 15, lambda _: encode(a_card(worker_id, started_ms))
    )
    heartbeat.beat()
    return heartbeat


class TestCards:
    def test_are_those_of_the_living_oldest_first(self, fleet, redis_client, namespace):
        beat(redis_client, namespace, "second", 2)
        beat(redis_client, namespace, "first", 1)
        redis_client.zadd(WORKERS(namespace), {"silent": 1})

        assert [each.worker_id for each in fleet.workers()] == ["first", "second"]

    def test_go_with_their_worker(self, fleet, redis_client, namespace):
        heartbeat = beat(redis_client, namespace, "w", 1)

        heartbeat.leave()

        assert fleet.workers() == []

    def test_are_shown_for_a_while_when_their_worker_falls_silent(self, fleet, redis_client, namespace):
        beat(redis_client, namespace, "killed", 1)
        beat(redis_client, namespace, "alive", 1)
        killed = WORKER_INFO(namespace, "killed")
        assert 590_000 < redis_client.pttl(killed) <= 600_000

        # Its time is up.
        redis_client.expire(killed, 0)

        assert [each.worker_id for each in fleet.workers()] == ["alive"]

    def test_come_back_as_they_were_written(self, fleet, redis_client, namespace):
        now_ms = redis_client.time()[0] * 1000
        written = WorkerInfo(
            "w", "böx", 7, "0.1.0", "c", 3, "KILL_SWITCH", "6dfb333ca9f2", False, 1, now_ms, latched=True
        )
        Heartbeat(redis_client, namespace, "w", 15, lambda _: encode(written)).beat()

        assert fleet.workers() == [written]

    def test_that_are_older_than_two_heartbeats_are_silent_and_come_first(
        self, fleet, redis_client, namespace
    ):
        now_ms = redis_client.time()[0] * 1000
        # Far enough from the bound for a machine that is busy with other things.
        ages_seconds = {"once late": 30, "silent": 50, "fresh": 0, "seldom": 100}
        for worker_id, age in ages_seconds.items():
            beat_seconds = 90 if worker_id == "seldom" else 20
            info = dataclasses.replace(
                a_card(worker_id), seen_wall_ms=now_ms - age * 1000, beat_seconds=beat_seconds
            )
            Heartbeat(redis_client, namespace, worker_id, 15, lambda _, info=info: encode(info)).beat()

        first, *others = fleet.workers()

        assert first.worker_id == "silent"
        assert first.silent_seconds == pytest.approx(50, abs=9)
        assert "worker box/7: silent since 5" in first.silence
        assert "kill -9 7" in first.silence
        assert {each.silence for each in others} == {""}

    def test_that_others_wrote_are_read_no_further_than_one_can_be_long(self, fleet, redis_client, namespace):
        beat(redis_client, namespace, "w", 1)
        redis_client.zadd(WORKERS(namespace), {"large": 2} | {f"old-{each}": 1 for each in range(5_000)})
        redis_client.set(WORKER_INFO(namespace, "large"), b"[" * 5_000_000)
        redis_client.rpush(WORKER_INFO(namespace, "old-4999"), "no string")
        before = redis_client.info("stats")["total_net_output_bytes"]

        found = fleet.workers()

        assert [each.worker_id for each in found] == ["w"]
        assert redis_client.info("stats")["total_net_output_bytes"] - before < 500_000

    def test_of_another_version_are_left_out(self, fleet, redis_client, namespace):
        beat(redis_client, namespace, "ours", 1)
        others = {"less": '{"worker_id": "less"}', "more": '{"a": 1}', "list": "[1]", "broken": "{"}
        for worker_id, said in others.items():
            redis_client.zadd(WORKERS(namespace), {worker_id: 1})
            redis_client.set(WORKER_INFO(namespace, worker_id), said)

        assert [each.worker_id for each in fleet.workers()] == ["ours"]

    def test_of_another_namespace_are_another_fleet(self, fleet, redis_client, namespace):
        beat(redis_client, f"{namespace}-other", "w", 1)

        assert fleet.workers() == []


class TestHalts:
    def test_are_heard_from_every_worker_that_was_asked_for(self, fleet, redis_client, namespace):
        listener = fleet.listen()
        for worker_id in ("a", "b"):
            redis_client.publish(HALTS(namespace), encode(Confirmation(worker_id, 3, 1.5)))

        heard = listener.wait_for({"a", "b"}, 30)
        listener.close()

        assert heard == {"a": Confirmation("a", 3, 1.5), "b": Confirmation("b", 3, 1.5)}

    def test_that_do_not_come_are_not_waited_for_for_ever(self, fleet, redis_client, namespace):
        listener = fleet.listen()
        redis_client.publish(HALTS(namespace), encode(Confirmation("a", 0, 1)))

        # When the first has been heard, 0.1 s is left; then that has passed, too.
        later = iter([29.9, 30])
        listener.mono = lambda: next(later) if listener.confirmed else 0
        heard = listener.wait_for({"a", "silent"}, 30)
        listener.close()

        assert set(heard) == {"a"}

    def test_that_come_while_one_waits_end_the_wait(self, fleet, redis_client, namespace):
        listener = fleet.listen()
        looks = itertools.count(1)

        def stopped_clock():
            # The first look is for the deadline, the second one for the wait that begins.
            if next(looks) == 2:
                said = encode(Confirmation("a", 2, 1))
                redis_client.publish(HALTS(namespace), said)
            return 0

        listener.mono = stopped_clock
        heard = listener.wait_for({"a"}, 30)
        listener.close()

        assert heard["a"].calls == 2

    def test_that_a_worker_speaks_of_twice_are_added_up(self, fleet, redis_client, namespace):
        listener = fleet.listen()
        for said in (Confirmation("a", 5, 80), Confirmation("a", 0, 1), Confirmation("b", 1, 2)):
            redis_client.publish(HALTS(namespace), encode(said))

        heard = listener.wait_for({"a", "b"}, 30)
        listener.close()

        assert heard["a"] == Confirmation("a", 5, 80)

    @pytest.mark.parametrize("said", ["{", "[1]", "7", '{"worker_id": "b"}', b"\xff"])
    def test_in_words_of_another_version_are_not_heard(self, fleet, redis_client, namespace, said):
        listener = fleet.listen()
        redis_client.publish(HALTS(namespace), said)
        redis_client.publish(HALTS(namespace), encode(Confirmation("a", 0, 1)))

        heard = listener.wait_for({"a"}, 30)
        listener.close()

        assert set(heard) == {"a"}


class TestTroubledRedis:
    def test_one_that_is_away_is_said_to_be_unavailable(self, namespace):
        with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
            fleet = RedisFleet(client, namespace)
            for ask in (fleet.workers, fleet.queue_depth, fleet.queue_oldest_seconds, fleet.listen):
                with pytest.raises(StoreUnavailable):
                    ask()

    def test_one_that_goes_away_ends_the_listening(self, namespace):
        with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=1) as client:
            listener = RedisFleet(client, namespace).listen()
            server.kill()

            with pytest.raises(StoreUnavailable):
                listener.wait_for({"a"}, 30)
            listener.close()
