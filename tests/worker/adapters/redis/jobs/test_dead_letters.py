"""Dead letters in a real Redis: kept byte for byte, put back as they were."""

from __future__ import annotations

import hashlib

import pytest

from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters

RAW = b'\x00\xff not json "'


@pytest.fixture
def letters(redis_client, namespace):
    return RedisDeadLetters(redis_client, namespace)


def test_keeps_the_message_byte_for_byte_with_the_reason(letters):
    dead_id = letters.add("slotgen", "not_a_task_message", "is not JSON", None, RAW)

    (kept,) = letters.list(10)
    assert (kept.dead_id, kept.message, kept.reason, kept.problem) == (
        dead_id,
        RAW,
        "not_a_task_message",
        "is not JSON",
    )
    assert kept.task_id is None
    assert kept.rejected_wall_ms > 0
    assert letters.show(dead_id) == kept


def test_replay_puts_it_back_on_its_queue_as_it_was(letters, redis_client, namespace):
    dead_id = letters.add(f"{namespace}-queue", "spec_invalid", "p", "t", RAW)

    assert letters.replay(dead_id)

    assert redis_client.lrange(f"{namespace}-queue", 0, -1) == [RAW]
    assert letters.count() == 0
    assert not letters.replay(dead_id)


def test_drop_forgets_it(letters):
    dead_id = letters.add("q", "r", "p", "t", RAW)

    assert letters.drop(dead_id)
    assert not letters.drop(dead_id)
    assert letters.show(dead_id) is None


def test_lists_the_newest_first(letters):
    ids = [letters.add("q", "r", str(each), None, RAW) for each in range(5)]

    assert [each.dead_id for each in letters.list(3)] == ids[:1:-1]


class TestBounds:
    def store(self, redis_client, namespace, **bounds):
        dropped = []
        return RedisDeadLetters(redis_client, namespace, **bounds, count_dropped=dropped.append), dropped

    def test_beyond_the_number_the_oldest_go_and_are_counted(self, redis_client, namespace):
        letters, dropped = self.store(redis_client, namespace, kept=3)

        ids = [letters.add("q", "r", "p", None, RAW) for _ in range(5)]

        assert [each.dead_id for each in letters.list(10)] == ids[:1:-1]
        assert sum(dropped) == 2

    def test_beyond_the_bytes_the_oldest_go_and_are_counted(self, redis_client, namespace):
        letters, dropped = self.store(redis_client, namespace, kept_bytes=1_000_000)

        for _ in range(40):
            letters.add("q", "r", "p", None, b"x" * 100_000)

        assert redis_client.memory_usage(f"{namespace}:dead", samples=0) <= 1_000_000
        assert 5 <= letters.count() == 40 - sum(dropped)

    def test_what_is_too_old_goes_though_nothing_is_added(self, redis_client, namespace):
        letters, dropped = self.store(redis_client, namespace, kept_seconds=3600)
        old_ms = redis_client.time()[0] * 1000 - 3_700_000
        redis_client.xadd(f"{namespace}:dead", {"message": b""}, id=f"{old_ms}-0")

        letters.trim()

        assert (letters.count(), dropped) == (0, [1])

    def test_the_last_one_stays_however_large(self, redis_client, namespace):
        letters, dropped = self.store(redis_client, namespace, kept_bytes=1000)

        letters.add("q", "r", "p", None, b"x" * 100_000)

        assert (letters.count(), dropped) == (1, [])

    def test_says_how_full_it_is_before_the_oldest_go(self, redis_client, namespace):
        letters, _ = self.store(redis_client, namespace, kept=10)
        assert letters.filled() == 0

        for _ in range(8):
            letters.add("q", "r", "p", None, RAW)

        assert letters.filled() == 0.8

    def test_of_a_message_too_large_for_any_worker_the_head_and_digest_are_kept(
        self, redis_client, namespace
    ):
        letters, _ = self.store(redis_client, namespace, whole_bytes=10_000)
        message = b"head" + b"x" * 20_000

        dead_id = letters.add(namespace, "too_large", "p" * 100_000, "t" * 100_000, message)

        kept = letters.show(dead_id)
        assert (kept.size_bytes, kept.sha256) == (len(message), hashlib.sha256(message).hexdigest())
        assert kept.message == message[:4096]
        assert redis_client.memory_usage(f"{namespace}:dead", samples=0) < 16_384
        assert not letters.replay(dead_id)
        assert redis_client.exists(namespace) == 0
        assert letters.count() == 1
