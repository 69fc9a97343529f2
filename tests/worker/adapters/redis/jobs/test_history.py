"""The latest outcomes in a real Redis: complete, and in order."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from gates import Subject
from tasks.errors import StoreUnavailable
from tests.history import keep
from tests.tasks.operations.past import an_outcome
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.jobs.history import RedisHistory, as_kept
from worker.adapters.redis.keys import HISTORY


def fields(past):
    return {
        name: getattr(past, name) for name in past.__slots__ if name not in {"entry_id", "wall_ms", "subject"}
    }


@pytest.fixture
def history(redis_client, namespace):
    return RedisHistory(redis_client, namespace)


def test_an_outcome_comes_back_as_it_was(history, redis_client, namespace):
    past = an_outcome(status="STUB", error_code="KILL_SWITCH", rule_id=None, cached=True, latency_ms=0.125)

    before_ms = history.now_ms()
    keep(redis_client, namespace, past)
    after_ms = history.now_ms()

    (found,) = history.since(0, 10)
    assert found.subject == past.subject
    assert fields(found) == fields(past)
    assert before_ms <= found.wall_ms <= after_ms
    assert history.oldest_ms() == found.wall_ms


def test_an_entry_is_the_list_that_other_versions_read(redis_client, namespace):
    keep(redis_client, namespace, an_outcome(policy_rule="heading"))

    ((_, entry),) = redis_client.xrange(HISTORY(namespace))
    subject = ["job-1", "lesson.intro", "explanatory", "Biology", "GCSE", "AQA", "8461", True]
    how = ["task-1", "text", "COMPLETED", None, "openai", 100.0, False, 1, 1000]
    by = ["rollout", "biology", "6dfb333ca9f2", "2026-11-1", "w1", True, "heading"]
    assert json.loads(entry[b"o"]) == subject + how + by


def test_the_newest_come_oldest_first(history, redis_client, namespace):
    keep(redis_client, namespace, *(an_outcome(task_id=f"t{number}") for number in range(1200)))

    found = history.since(0, 3)

    assert [each.task_id for each in found] == ["t1197", "t1198", "t1199"]
    assert history.since(history.now_ms() + 1000, 10) == []


def test_since_is_from_that_moment_on(history, redis_client, namespace):
    for wall_ms in (1000, 2000, 3000):
        keep(redis_client, f"{namespace}-{wall_ms}", an_outcome(task_id=f"at {wall_ms}"))
        ((_, entry),) = redis_client.xrange(HISTORY(f"{namespace}-{wall_ms}"))
        redis_client.xadd(HISTORY(namespace), entry, id=f"{wall_ms}-0")

    assert [each.wall_ms for each in history.since(2000, 10)] == [2000, 3000]
    assert history.since(3001, 10) == []
    assert history.oldest_ms() == 1000


@pytest.fixture
def following(redis_server, redis_client, namespace):
    """Begins to follow from an entry on, and returns what will come of it once Redis lets it wait."""
    with (
        open_sync(redis_server.url, timeout_seconds=60) as client,
        ThreadPoolExecutor(1) as thread,
    ):

        def follow(after_id):
            found = thread.submit(RedisHistory(client, namespace).follow, after_id, 30)
            eventually(lambda: redis_client.info("clients")["blocked_clients"], saying="it does not wait")
            return found

        yield follow


def test_following_from_now_on_leaves_out_what_was(following, redis_client, namespace):
    keep(redis_client, namespace, an_outcome(task_id="old"))
    found = following("$")

    keep(redis_client, namespace, an_outcome(task_id="new"))

    assert [each.task_id for each in found.result()] == ["new"]


def test_following_waits_for_what_comes(history, following, redis_client, namespace):
    keep(redis_client, namespace, an_outcome(task_id="old"))
    last = history.since(0, 1)[0].entry_id
    assert history.follow(last, 0.05) == []
    found = following(last)

    keep(redis_client, namespace, an_outcome(task_id="new"))

    assert [each.task_id for each in found.result()] == ["new"]


def test_what_another_version_wrote_is_left_out(history, redis_client, namespace):
    for entry in ({"o": "[1, 2]"}, {"o": "{"}, {"x": "1"}):
        redis_client.xadd(HISTORY(namespace), entry)
    keep(redis_client, namespace, an_outcome())

    assert len(history.since(0, 10)) == 1


def test_an_empty_history_has_no_beginning(history):
    assert history.oldest_ms() is None
    assert history.since(0, 10) == []


def test_a_redis_that_is_away_is_said_to_be_unavailable(namespace):
    with open_sync("redis://127.0.0.1:1/0", timeout_seconds=0.2) as client:
        history = RedisHistory(client, namespace)
        asked = (lambda: history.since(0, 1), lambda: history.follow("$", 0.1), history.now_ms)
        for ask in (*asked, history.oldest_ms):
            with pytest.raises(StoreUnavailable):
                ask()


@pytest.mark.parametrize("name", ["n" * 256, "é" * 256, "\x00" * 256, "😀" * 256])
def test_an_entry_is_bounded_in_bytes_whatever_its_names_are(history, redis_client, namespace, name):
    names = dict.fromkeys(("task_id", "output_type", "rule_id", "policy_rule", "gate", "worker_id"), name)
    subject = Subject(name, name, name, name, name, name, name, opted_in=True)

    keep(redis_client, namespace, an_outcome(subject=subject, **names))

    ((_, entry),) = redis_client.xrange(HISTORY(namespace))
    assert len(entry[b"o"]) <= HISTORY.entry_bytes // 2
    (found,) = history.since(0, 10)
    assert found.subject.job_id == as_kept(name)
    assert found.subject.opted_in
