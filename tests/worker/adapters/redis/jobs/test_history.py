"""The latest outcomes in a real Redis: complete, in order, bounded, and never in the job's way."""

from __future__ import annotations

import json
import queue
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import NoScriptError, RedisError

from gates import Subject
from tasks.errors import StoreUnavailable
from tests.redis_server.server import EmbeddedRedis
from tests.tasks.operations.past import an_outcome
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.jobs.history import HistoryWriter, RedisHistory, as_kept
from worker.adapters.redis.keys import HISTORY
from worker.process.background import Background


def fields(past):
    return {
        name: getattr(past, name) for name in past.__slots__ if name not in {"entry_id", "wall_ms", "subject"}
    }


def add(writer, *pasts):
    for past in pasts:
        writer.add(past)


def task_ids(history):
    return [each.task_id for each in history.since(0, 50_000)]


def writing(writer):
    thread = Background("history", writer.flush, 0.01, finish=writer.flush)
    thread.start()
    return thread


def write(client, namespace, *pasts, kept=50_000):
    writer = HistoryWriter(client, namespace, kept, lambda _: None)
    add(writer, *pasts)
    writer.flush()


class Attempts:
    """The client of a writer, that says what becomes of its attempts to write."""

    def __init__(self, client):
        self.client = client
        self.begun = queue.Queue()
        self.failed = queue.Queue()

    def evalsha(self, *arguments):
        self.begun.put(arguments)
        return self._noted(self.client.evalsha, *arguments)

    def eval(self, *arguments):
        return self._noted(self.client.eval, *arguments)

    def _noted(self, attempt, *arguments):
        try:
            return attempt(*arguments)
        except NoScriptError:
            raise  # that attempt goes on
        except (RedisError, OSError) as error:
            self.failed.put(error)
            raise


def await_some(events, number=1):
    for _ in range(number):
        events.get(timeout=30)


def await_length(client, namespace, number):
    eventually(lambda: client.xlen(HISTORY(namespace)) >= number, saying=f"no {number} were written")


@pytest.fixture
def history(redis_client, namespace):
    return RedisHistory(redis_client, namespace)


def test_an_outcome_comes_back_as_it_was(history, redis_client, namespace):
    past = an_outcome(status="STUB", error_code="KILL_SWITCH", rule_id=None, cached=True, latency_ms=0.125)

    before_ms = history.now_ms()
    write(redis_client, namespace, past)
    after_ms = history.now_ms()

    (found,) = history.since(0, 10)
    assert found.subject == past.subject
    assert fields(found) == fields(past)
    assert before_ms <= found.wall_ms <= after_ms
    assert history.oldest_ms() == found.wall_ms


def test_an_entry_is_the_list_that_other_versions_read(redis_client, namespace):
    write(redis_client, namespace, an_outcome(policy_rule="heading"))

    ((_, entry),) = redis_client.xrange(HISTORY(namespace))
    subject = ["job-1", "lesson.intro", "explanatory", "Biology", "GCSE", "AQA", "8461", True]
    how = ["task-1", "text", "COMPLETED", None, "openai", 100.0, False, 1, 1000]
    by = ["rollout", "biology", "6dfb333ca9f2", "2026-11-1", "w1", True, "heading"]
    assert json.loads(entry[b"o"]) == subject + how + by


def test_the_newest_come_oldest_first(history, redis_client, namespace):
    write(redis_client, namespace, *(an_outcome(task_id=f"t{number}") for number in range(1200)))

    found = history.since(0, 3)

    assert [each.task_id for each in found] == ["t1197", "t1198", "t1199"]
    assert history.since(history.now_ms() + 1000, 10) == []


def test_it_is_bounded(history, redis_client, namespace):
    write(redis_client, namespace, *(an_outcome() for _ in range(3000)), kept=1000)

    # Redis trims whole nodes of a hundred.
    assert 1000 <= redis_client.xlen(HISTORY(namespace)) < 1200


def test_since_is_from_that_moment_on(history, redis_client, namespace):
    for wall_ms in (1000, 2000, 3000):
        write(redis_client, f"{namespace}-{wall_ms}", an_outcome(task_id=f"at {wall_ms}"))
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
    write(redis_client, namespace, an_outcome(task_id="old"))
    found = following("$")

    write(redis_client, namespace, an_outcome(task_id="new"))

    assert [each.task_id for each in found.result()] == ["new"]


def test_following_waits_for_what_comes(history, following, redis_client, namespace):
    write(redis_client, namespace, an_outcome(task_id="old"))
    last = history.since(0, 1)[0].entry_id
    assert history.follow(last, 0.05) == []
    found = following(last)

    write(redis_client, namespace, an_outcome(task_id="new"))

    assert [each.task_id for each in found.result()] == ["new"]


def test_what_another_version_wrote_is_left_out(history, redis_client, namespace):
    for entry in ({"o": "[1, 2]"}, {"o": "{"}, {"x": "1"}):
        redis_client.xadd(HISTORY(namespace), entry)
    write(redis_client, namespace, an_outcome())

    assert len(history.since(0, 10)) == 1


def test_an_empty_history_has_no_beginning(history):
    assert history.oldest_ms() is None
    assert history.since(0, 10) == []


def test_what_a_redis_that_is_away_could_not_take_is_written_later(namespace):
    with EmbeddedRedis(persistent=True) as server, open_sync(server.url, timeout_seconds=30) as client:
        attempts = Attempts(client)
        writer = HistoryWriter(attempts, namespace, 50_000, lambda _: None)
        server.kill()
        thread = writing(writer)
        add(writer, *(an_outcome(task_id=f"t{number}") for number in range(10)))
        await_some(attempts.failed, 2)
        server.restart()

        await_length(client, namespace, 10)
        thread.stop()

        assert task_ids(RedisHistory(client, namespace)) == [f"t{number}" for number in range(10)]


def test_what_a_frozen_redis_answers_too_late_is_written_once(namespace):
    with (
        EmbeddedRedis() as server,
        open_sync(server.url, timeout_seconds=0.2) as hasty,
        open_sync(server.url, timeout_seconds=30) as client,
    ):
        attempts = Attempts(hasty)
        writer = HistoryWriter(attempts, namespace, 50_000, lambda _: None)
        hasty.ping()
        server.freeze()
        thread = writing(writer)
        add(writer, *(an_outcome(task_id=f"t{number}") for number in range(10)))
        # The first one leaves a copy in the connection that was open.
        await_some(attempts.failed, 2)
        server.thaw()
        await_length(client, namespace, 10)
        add(writer, an_outcome(task_id="later"))
        await_length(client, namespace, 11)
        thread.stop()

        assert task_ids(RedisHistory(client, namespace)) == [*(f"t{number}" for number in range(10)), "later"]


def test_a_full_redis_gets_all_of_it_once_there_is_room(namespace):
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=30) as client:
        attempts = Attempts(client)
        writer = HistoryWriter(attempts, namespace, 50_000, lambda _: None)
        client.config_set("maxmemory", "1")
        thread = writing(writer)
        add(writer, *(an_outcome(task_id=f"t{number}") for number in range(600)))
        await_some(attempts.failed, 2)
        assert client.xlen(HISTORY(namespace)) == 0
        client.config_set("maxmemory", "0")

        await_length(client, namespace, 600)
        thread.stop()

        assert task_ids(RedisHistory(client, namespace)) == [f"t{number}" for number in range(600)]


def test_two_workers_write_side_by_side(redis_client, namespace, history):
    writers = [HistoryWriter(redis_client, namespace, 50_000, lambda _: None) for _ in range(2)]
    threads = []
    for number, writer in enumerate(writers):
        threads.append(writing(writer))
        add(writer, *(an_outcome(worker_id=f"w{number}") for _ in range(700)))
    for thread in threads:
        thread.stop()

    assert sorted(each.worker_id for each in history.since(0, 5000)) == ["w0"] * 700 + ["w1"] * 700


def test_nothing_of_a_writer_stays_but_the_stream(redis_client, namespace, history):
    write(redis_client, namespace, an_outcome())

    (mark,) = set(redis_client.keys(f"{namespace}:*")) - {HISTORY(namespace).encode()}
    assert 0 < redis_client.ttl(mark) <= 3600


def test_what_no_longer_fits_is_counted_and_is_the_oldest(redis_client, namespace, history):
    dropped = []
    writer = HistoryWriter(redis_client, namespace, 50_000, dropped.append)

    add(writer, *(an_outcome(task_id=f"t{number}") for number in range(20_005)))
    writer.flush()

    assert sum(dropped) == 5
    found = task_ids(history)
    assert (len(found), found[0], found[-1]) == (20_000, "t5", "t20004")


def test_nothing_is_lost_uncounted_while_redis_does_not_answer(namespace):
    with (
        EmbeddedRedis() as server,
        open_sync(server.url, timeout_seconds=0.5) as hasty,
        open_sync(server.url, timeout_seconds=30) as client,
    ):
        dropped = []
        attempts = Attempts(hasty)
        writer = HistoryWriter(attempts, namespace, 50_000, dropped.append)
        hasty.ping()
        server.freeze()
        add(writer, *(an_outcome() for _ in range(1000)))
        thread = writing(writer)
        await_some(attempts.begun)
        # The writer has a batch in hand, and waits for its answer.
        add(writer, *(an_outcome() for _ in range(20_500)))
        await_some(attempts.failed)
        server.thaw()
        await_length(client, namespace, 21_500 - sum(dropped))
        thread.stop()

        assert client.xlen(HISTORY(namespace)) + sum(dropped) == 21_500
        assert sum(dropped) == 1000


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

    write(redis_client, namespace, an_outcome(subject=subject, **names))

    ((_, entry),) = redis_client.xrange(HISTORY(namespace))
    assert len(entry[b"o"]) <= HISTORY.entry_bytes // 2
    (found,) = history.since(0, 10)
    assert found.subject.job_id == as_kept(name)
    assert found.subject.opted_in
