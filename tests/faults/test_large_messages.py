"""However large a message is, it costs no worker its life, and whatever comes back too often is put aside."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.builders import a_message, a_spec, new_job
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.promise import verdict
from tests.faults.test_hostile_bodies import peak_mb
from tests.waiting import eventually
from worker.adapters.celery.redelivery import _TAKE
from worker.adapters.redis.clients import open_sync

CONCURRENCY = 10
PROMISED_MB = 300
MEGABYTE = 1_000_000


def large(task_id: str, size: int) -> bytes:
    """Return a message of about so many bytes, as kombu writes one: the properties last."""
    message = a_message(a_spec(new_job()), task_id=task_id)
    message["properties"]["correlation_id"] = task_id
    message["body"] = "QUJD" * (size // 4)
    return json.dumps(message).encode()


def letter(hurt: Fleet) -> dict[bytes, bytes]:
    ((_, entry),) = eventually(lambda: hurt.client.xrange("slotgen:dead"), within_seconds=60)
    return entry


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_a_message_of_200_mb_ends_no_worker_and_its_producer_hears_of_it(hurt, saw):
    (worker,) = hurt.workers
    raw = large("large-1", 200 * MEGABYTE)
    # Beside three other tests a Redis may take longer for it than the 5 s of the others' client.
    with open_sync(hurt.server.url, timeout_seconds=60) as patient:
        patient.lpush("slotgen", raw)

    outcome = hurt.outcome("large-1")

    entry = letter(hurt)
    assert "SLOTGEN_MAX_MESSAGE_BYTES" in outcome["result"]["exc_message"][0]
    assert (entry[b"reason"], int(entry[b"size"])) == (b"too_large", len(raw))
    assert entry[b"sha256"].decode() == hashlib.sha256(raw[:65_536]).hexdigest()
    assert raw.startswith(entry[b"message"])
    assert hurt.statuses(hurt.send(3)) == ["COMPLETED"] * 3
    hurt.wait_until_nothing_is_held()
    worker.check()
    peak = peak_mb(worker.pid)
    saw(
        "a message of 200 MB",
        "one, and 3 jobs after it",
        f"in the dead letters, its producer told, 3 of 3 COMPLETED; {peak:.0f} MB at the most",
        f"<= {PROMISED_MB} MB: {verdict(peak, PROMISED_MB)}",
    )
    assert peak <= PROMISED_MB


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_messages_that_grow_when_they_are_parsed_stay_within_the_memory_of_a_worker(saw):
    with fleet(persistent=False) as hurt:
        worker = hurt.start_worker(concurrency=200)
        hurt.fake_openai.behave(Behaviour(delay_seconds=100))
        # As Python objects they take 13 times what they are on the wire.
        jobs = [new_job() | {"input": {"empty": [{}] * 3500}} for _ in range(18)]
        raw = ""
        for number in range(64):
            spec = a_spec(*({**each, "jobId": f"{each['jobId']}-{number}"} for each in jobs))
            raw = json.dumps(a_message(spec, task_id=f"grows-{number}"))
            hurt.client.lpush("slotgen", raw)

        hurt.fake_openai.journal.wait_until(lambda counts: counts.in_flight >= 150, 120)

        held, peak = hurt.client.hlen("slotgen:unacked"), peak_mb(worker.pid)
        hurt.client.delete("slotgen")
        hurt.client.set("slotgen:kill", "true")
        hurt.wait_until_nothing_is_held()
        worker.check()
    saw(
        "messages that grow 13 times when they are parsed",
        f"64 of {len(raw):,} bytes, their calls held",
        f"{held} taken; {peak:.0f} MB at the most",
        f"<= {PROMISED_MB} MB: {verdict(peak, PROMISED_MB)}",
    )
    assert held <= 12
    assert peak <= PROMISED_MB


@pytest.mark.timeout(120)
def test_a_worker_that_died_as_soon_as_it_had_a_message_counts_as_a_death(hurt):
    message = a_message(a_spec(new_job()), task_id="taken-5")
    message["headers"]["slotgen_deaths"] = 4
    hurt.client.lpush("slotgen:other", json.dumps(message))
    held = ["slotgen:taken", "slotgen:unacked", "slotgen:unacked_index", "slotgen:workers"]
    keys = [*held, "slotgen", "slotgen:other"]
    assert _TAKE.run(hurt.client, keys, 1, "dead-worker:", 1, PROMISED_MB * MEGABYTE, 1)
    hurt.client.zadd("slotgen:workers", {"dead-worker": 1})

    assert hurt.outcome("taken-5")["status"] == "FAILURE"

    assert letter(hurt)[b"reason"] == b"killed_its_workers"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "raw", [b"\xff\x00 no text", b"[1, 2", b"[" * 50_000, b"[]", b"slotgen-cut:9;"], ids=ascii
)
def test_what_is_no_message_and_had_been_taken_by_the_dead_is_kept_as_it_is(hurt, raw):
    held = json.dumps([raw.decode(errors="surrogateescape"), "", "slotgen"], ensure_ascii=False)
    hurt.client.hset("slotgen:unacked", "dead-worker:1", held.encode(errors="surrogateescape"))
    hurt.client.zadd("slotgen:workers", {"dead-worker": 1})

    entry = letter(hurt)

    assert (entry[b"reason"], entry[b"message"]) == (b"not_a_task_message", raw)


@pytest.mark.timeout(120)
def test_a_message_that_nobody_finishes_in_time_is_put_aside_in_the_end():
    with fleet(persistent=False) as hurt:
        message = a_message(a_spec(new_job()), task_id="overdue-5")
        message["headers"]["slotgen_deaths"] = 4
        hurt.client.hset("slotgen:unacked", "living:tag", json.dumps([json.dumps(message), "", "slotgen"]))
        hurt.client.zadd("slotgen:unacked_index", {"living:tag": 1})
        hurt.start_worker(CONCURRENCY)

        assert hurt.outcome("overdue-5")["status"] == "FAILURE"

        assert letter(hurt)[b"reason"] == b"killed_its_workers"
        assert hurt.client.hlen("slotgen:unacked") == 0
