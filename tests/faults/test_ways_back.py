"""Whatever brings a message back to the queue, it comes back as it came, with no more than our mark on it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.builders import a_message, a_spec, new_job
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, fleet, kill
from tests.faults.rig.hasty_config import write_config
from tests.waiting import eventually
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters

BUSY = Behaviour(delay_seconds=60)
FULL = Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="30")
# Less than the server asks for: such a job is put off.
SHORT = {"SLOTGEN_SHUTDOWN_GRACE_SECONDS": "0.1"}
UNTIL = "2999-12-31T23:59:59.5+02:00"


def odd(expires: str = UNTIL, **headers: Any) -> bytes:
    """Return a message with everything in it that Celery's producers put there, and some that is foreign."""
    task_id = str(uuid.uuid4())
    message = a_message(a_spec(new_job()), task_id=task_id)
    message["headers"] |= {
        "expires": expires,
        "ignore_result": True,
        "group": "group-1",
        "group_index": 3,
        "root_id": "root-1",
        "parent_id": "parent-1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0b0902b7-01",
        "tracestate": "odd=1",
        "origin": "gen1@här",
        "argsrepr": "('é😀',)",
        "shadow": "a name of its own",
        "retries": 2,
        "timelimit": [None, 30.25],
        "replaced_task_nesting": 1,
        "stamped_headers": ["tenant"],
        "stamps": {"tenant": [1.5e300, None, {"deep": [10**30]}]},
        "x-tenant": {"id": 10**18, "ratio": 0.1},
    } | headers
    message["properties"] |= {
        "correlation_id": task_id,
        "reply_to": "reply-1",
        "priority": 6,
        "app_id": "odd",
        "delivery_info": {"exchange": "odd", "routing_key": "elsewhere", "priority": 6, "x": None},
    }
    # Blanks, escapes and the order of fields are the producer's own.
    return json.dumps(message | {"x-odd": [None, 0.5]}, indent=1, sort_keys=True).encode()


def marked(raw: bytes, **marks: Any) -> dict[str, Any]:
    message = json.loads(raw)
    return message | {"headers": message["headers"] | marks}


def the_message(hurt: Fleet) -> bytes:
    """Return the one message that waits, on whichever list."""
    ((found,),) = [hurt.client.lrange(each, 0, -1) for each in hurt.client.keys("slotgen") or [b"slotgen"]]
    return found


def in_flight(hurt: Fleet, raw: bytes) -> None:
    hurt.client.lpush("slotgen", raw)
    hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, 60)


@pytest.fixture
def busy():
    with fleet(persistent=False) as hurt:
        hurt.fake_openai.behave(BUSY)
        yield hurt


@pytest.mark.timeout(120)
def test_a_worker_that_stops_hands_back_the_very_bytes(busy, saw):
    raw = odd()
    worker = busy.start_worker(**SHORT)
    in_flight(busy, raw)

    assert worker.stop() == 0

    assert the_message(busy) == raw
    assert busy.client.hlen("slotgen:unacked") == busy.client.zcard("slotgen:unacked_index") == 0
    saw("way back: shutdown", "a message with 30 odd fields", "on the queue, byte for byte", "0 bytes differ")


@pytest.mark.timeout(120)
def test_a_message_that_outlived_its_worker_has_one_death_on_it_and_nothing_else(busy, saw):
    raw = odd(slotgen_deaths=2)
    first = busy.start_worker()
    in_flight(busy, raw)
    kill(first)

    second = busy.start_worker(**SHORT)
    busy.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, 60)
    assert second.stop() == 0

    assert json.loads(the_message(busy)) == marked(raw, slotgen_deaths=3)
    saw(
        "way back: kill -9",
        "a message with 30 odd fields",
        "on the queue, one death added",
        "1 field differs",
    )


@pytest.mark.timeout(120)
def test_a_message_that_is_overdue_comes_back_with_a_death_on_it_and_nothing_else(busy):
    raw = odd()
    busy.start_worker(concurrency=1)
    in_flight(busy, raw)
    (tag,) = busy.client.hkeys("slotgen:unacked")

    # As old as messages get: its worker, which is still busy with it, has no place for another.
    busy.client.zadd("slotgen:unacked_index", {tag: 1})
    eventually(lambda: busy.client.llen("slotgen") == 1)

    assert json.loads(the_message(busy)) == marked(raw, slotgen_deaths=1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("forged", [{}, {"slotgen_deferred_since": 2**31 - 1}], ids=["", "forged"])
def test_a_job_that_is_put_off_keeps_every_field_and_is_marked_once(busy, saw, forged):
    raw = odd(**forged)
    busy.fake_openai.behave(FULL)
    worker = busy.start_worker(
        SLOTGEN_EXECUTOR_CONFIG=str(write_config(busy.folder, jobDeadlineSeconds=3)), **SHORT
    )
    before = int(busy.client.time()[0])
    busy.client.lpush("slotgen", raw)
    # It goes round and round while the server is full.
    eventually(lambda: int(busy.client.get("slotgen:taken") or 0) >= 3)
    assert worker.stop() == 0

    message = json.loads(the_message(busy))
    since = message["headers"]["slotgen_deferred_since"]
    assert before <= since <= int(busy.client.time()[0])
    assert message == marked(raw, slotgen_deferred_since=since)
    assert busy.client.hlen("slotgen:unacked") == busy.client.zcard("slotgen:unacked_index") == 0
    saw("way back: put off", "a message with 30 odd fields, three times", "one mark added", "1 field differs")


@pytest.mark.timeout(120)
def test_a_job_that_expires_while_it_is_put_off_is_neither_generated_nor_paid(busy, saw):
    expires = datetime.now(UTC) + timedelta(seconds=8)
    raw = odd(expires.isoformat(), ignore_result=False)
    task_id = json.loads(raw)["headers"]["id"]
    busy.fake_openai.play_next(
        Behaviour(status=429, error_code="rate_limit_exceeded", retry_after="9"),
    )
    busy.fake_openai.behave(Behaviour())
    busy.start_worker(SLOTGEN_EXECUTOR_CONFIG=str(write_config(busy.folder, jobDeadlineSeconds=3)))
    busy.client.lpush("slotgen", raw)

    assert busy.outcome(task_id)["status"] == "REVOKED"
    busy.wait_until_nothing_is_held()
    assert busy.fake_openai.journal.billed_requests() == {}
    assert busy.lines.outcomes == []
    saw("expired job", "put off until after its expiry", "REVOKED; 0 requests billed", "0 paid")


@pytest.mark.timeout(120)
def test_a_dead_letter_is_replayed_byte_for_byte(busy):
    letters = RedisDeadLetters(busy.client, "slotgen")
    raw = odd(chain=["x"])
    busy.client.lpush("slotgen", raw)
    worker = busy.start_worker(concurrency=1)
    eventually(lambda: letters.count() == 1)
    kill(worker)

    (letter,) = letters.list(10)
    assert letter.message == raw
    assert letters.replay(letter.dead_id)
    assert the_message(busy) == raw


@pytest.mark.timeout(120)
def test_a_message_that_keeps_killing_its_workers_is_kept_with_every_field(busy):
    raw, letters = odd(slotgen_deaths=4), RedisDeadLetters(busy.client, "slotgen")
    first = busy.start_worker()
    in_flight(busy, raw)
    kill(first)

    busy.start_worker()
    eventually(lambda: letters.count() == 1)

    (letter,) = letters.list(10)
    assert json.loads(letter.message) == marked(raw, slotgen_deaths=5)
