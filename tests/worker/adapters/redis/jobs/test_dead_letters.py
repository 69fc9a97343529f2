"""Dead letters in a real Redis: kept byte for byte, put back as they were."""

from __future__ import annotations

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
