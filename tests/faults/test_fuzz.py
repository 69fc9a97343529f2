"""Mutated messages straight onto the queue: each is kept with a reason or answered; the worker lives."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from tests.builders import a_message, a_spec, new_job
from tests.faults.rig.fleet import fleet
from tests.faults.rig.length import in_full
from tests.waiting import eventually

MESSAGES = in_full(20_000, short=1000)
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 5.5, 1e308, 10**30, "", "x", "5", "\0", "é😀", "a" * 300),
    *(
        "2020-01-01T00:00:00",
        "2999-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59.999999",
        "0001-01-01T00:00:00",
    ),
    *([], {}, [None, None], [1, 2], [0.001, 0.001], [None, 1], {"a": 1}, ["x"] * 50, {"task": "x"}),
]
# An `expires` in the past is the producer's own wish to drop the message, so it is left out.
HEADERS = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
    "redelivered",
    "slotgen_deaths",
    "meth",
    "utc",
    "chord",
    "delivery_info",
    "hostname",
    "method_name",
]
PROPERTIES = [
    "correlation_id",
    "reply_to",
    "delivery_mode",
    "delivery_info",
    "priority",
    "body_encoding",
    "delivery_tag",
    "content_type",
    "expiration",
    "app_id",
    "timestamp",
]
PARTS = ["body", "content-type", "content-encoding", "headers", "properties", "x"]


def mutated(chance: random.Random) -> bytes:
    """Return a sound message with one to three things wrong, now and then with a broken byte."""
    message = a_message(a_spec(new_job(mode="verbatim")))
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        where, names = chance.choice([("headers", HEADERS), ("properties", PROPERTIES), (None, PARTS)])
        target = message if where is None else message[where]
        if not isinstance(target, dict):
            break
        target[chance.choice(names)] = copy.deepcopy(chance.choice(VALUES))
    raw = json.dumps(message).encode()
    if chance.random() < 0.1:
        place = chance.randrange(len(raw))
        raw = raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
    return raw


@pytest.mark.timeout(300)
def test_every_message_is_kept_with_a_reason_or_answered_and_the_worker_lives(saw):
    chance = random.Random(4711)
    with fleet(persistent=False) as hurt:
        worker = hurt.start_worker(concurrency=20)
        messages = [mutated(chance) for _ in range(MESSAGES)]
        messages += [chance.randbytes(chance.randrange(200)) for _ in range(MESSAGES // 10)]

        for start in range(0, len(messages), 200):
            hurt.client.lpush("slotgen", *messages[start : start + 200])

        def all_dealt_with() -> bool:
            worker.check()
            return hurt.client.xlen("slotgen:dead") + len(hurt.lines.codes) >= len(messages)

        eventually(all_dealt_with, within_seconds=200, saying="some were neither kept nor answered")
        kept, answered = hurt.client.xlen("slotgen:dead"), len(hurt.lines.codes)
        assert kept + answered == len(messages)
        # A broken byte in the body may leave a sound spec for a subject that no rule has.
        assert set(hurt.lines.codes) <= {"VERBATIM_MODE", "NOT_ALLOWLISTED"}
        assert hurt.fake_openai.journal.counts().begun == 0
        assert all(entry[b"problem"] for _, entry in hurt.client.xrange("slotgen:dead"))
        assert hurt.statuses(hurt.send(3)) == ["COMPLETED"] * 3
        worker.check()
        saw(
            "fuzz",
            f"{len(messages):,} mutated or random messages straight onto the queue",
            f"{kept:,} kept with a reason, {answered:,} answered; then 3 of 3 sound jobs COMPLETED",
            "kept + answered = sent; the worker lives",
        )
