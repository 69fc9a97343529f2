"""The latest outcomes in a real Redis: complete, in order, bounded, and never in the job's way."""

from __future__ import annotations

import threading
import time

import pytest

from tests.tasks.operations.past import an_outcome
from worker.adapters.redis_clients import open_sync
from worker.adapters.redis_history import HistoryWriter, RedisHistory, history_key
from worker.dev.embedded_redis import EmbeddedRedis


def fields(past):
    return {
        name: getattr(past, name) for name in past.__slots__ if name not in {"entry_id", "wall_ms", "subject"}
    }


def write(client, namespace, *pasts, kept=50_000):
    writer = HistoryWriter(client, namespace, kept, lambda _: None)
    for past in pasts:
        writer.add(past.subject, **fields(past))
    writer.start()
    writer.stop()


@pytest.fixture
def history(redis_client, namespace):
    return RedisHistory(redis_client, namespace)


def test_an_outcome_comes_back_as_it_was(history, redis_client, namespace):
    past = an_outcome(status="STUB", error_code="KILL_SWITCH", rule_id=None, cached=True, latency_ms=0.125)

    write(redis_client, namespace, past)

    (found,) = history.since(0, 10)
    assert found.subject == past.subject
    assert fields(found) == fields(past)
    assert abs(found.wall_ms - history.now_ms()) < 2000
    assert history.oldest_ms() == found.wall_ms


def test_the_newest_come_oldest_first(history, redis_client, namespace):
    write(redis_client, namespace, *(an_outcome(task_id=f"t{number}") for number in range(1200)))

    found = history.since(0, 3)

    assert [each.task_id for each in found] == ["t1197", "t1198", "t1199"]
    assert history.since(history.now_ms() + 1000, 10) == []


def test_it_is_bounded(history, redis_client, namespace):
    write(redis_client, namespace, *(an_outcome() for _ in range(3000)), kept=1000)

    # Redis trims whole nodes of a hundred.
    assert 1000 <= redis_client.xlen(history_key(namespace)) < 1200


def test_following_waits_for_what_comes(history, redis_client, namespace):
    write(redis_client, namespace, an_outcome(task_id="old"))
    last = history.since(0, 1)[0].entry_id
    assert history.follow(last, 0.05) == []
    sender = threading.Timer(0.1, write, (redis_client, namespace, an_outcome(task_id="new")))
    sender.start()

    found = history.follow(last, 4)
    sender.join()

    assert [each.task_id for each in found] == ["new"]


def test_what_another_version_wrote_is_left_out(history, redis_client, namespace):
    for entry in ({"o": "[1, 2]"}, {"o": "{"}, {"x": "1"}):
        redis_client.xadd(history_key(namespace), entry)
    write(redis_client, namespace, an_outcome())

    assert len(history.since(0, 10)) == 1


def test_an_empty_history_has_no_beginning(history):
    assert history.oldest_ms() is None
    assert history.since(0, 10) == []


def test_what_a_redis_that_is_away_could_not_take_is_written_later(namespace):
    with EmbeddedRedis(persistent=True) as server, open_sync(server.url, timeout_seconds=1) as client:
        writer = HistoryWriter(client, namespace, 50_000, lambda _: None)
        server.kill()
        writer.start()
        for number in range(10):
            writer.add(an_outcome().subject, **fields(an_outcome(task_id=f"t{number}")))
        time.sleep(0.5)  # several attempts fail meanwhile
        server.restart()

        deadline = time.monotonic() + 10
        while client.xlen(history_key(namespace)) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # the writer's thread has nothing to await
        writer.stop()

        assert [each.task_id for each in RedisHistory(client, namespace).since(0, 20)] == [
            f"t{number}" for number in range(10)
        ]


def test_what_no_longer_fits_is_counted(redis_client, namespace):
    dropped = []
    writer = HistoryWriter(redis_client, namespace, 50_000, dropped.append)
    past = an_outcome()

    for _ in range(20_005):
        writer.add(past.subject, **fields(past))

    assert sum(dropped) == 5
