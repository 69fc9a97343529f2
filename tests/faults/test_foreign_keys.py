"""Whatever somebody puts into any key of the table, a worker goes on, and is as before once it is cleared."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator

import pytest

from tasks.errors import StoreUnavailable
from tasks.generate.prompting import job_key
from tasks.generate.spec import Spec
from tests.builders import a_spec, new_job
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.length import FULL, in_full
from tests.faults.test_refusals import is_ready
from tests.foreign import LAST_OF_ALL, MAKES, ROWS, Foreign, name_of, spoil
from tests.waiting import eventually
from worker.adapters.redis import keys
from worker.adapters.redis.console.quarantine import RedisQuarantine
from worker.adapters.redis.dial_keys import DIAL_KEYS
from worker.adapters.redis.keys import Key
from worker.adapters.redis.wrong_keys import judge_one
from worker.cli.support.documents import load_executor
from worker.client import Producer
from worker.client.producer import Sent

SEED = os.environ.get("SLOTGEN_FAULTS_SEED", "4711")
VALUES = in_full(1_000, short=20)
# For as long a key is wrong before it is cleared, where no answer comes: longer than two looks of the worker.
WRONG_SECONDS = in_full(5, short=1)
BACK_SECONDS = 20
# One row in so many has a test that is not thorough.
ONE_IN = 9
SETTINGS = {
    "SLOTGEN_BUDGET_USD": "900",
    "SLOTGEN_STREAM_RESULTS": "100",
    "SLOTGEN_CONTROL_READ_TIMEOUT_MS": "5000",
    # Whatever somebody writes there holds for so long.
    "SLOTGEN_LONGEST_COOLDOWN_SECONDS": "1",
}
QUEUES = {"{ns}", keys.PRIORITY_QUEUE.pattern, keys.PRIORITY_QUEUE_COLON.pattern}
SOME = [
    pytest.param(row, id=row.pattern, marks=[] if number % ONE_IN == 0 else pytest.mark.thorough)
    for number, row in enumerate(ROWS)
]


@pytest.fixture(scope="module")
def at_work() -> Iterator[Fleet]:
    with fleet(persistent=False) as hurt:
        hurt.start_worker(20, **SETTINGS)
        hurt.statuses(hurt.send(1))
        yield hurt


@pytest.fixture
def hurt(at_work) -> Fleet:
    at_work.open_dials()
    at_work.workers[0].check()
    return at_work


class Jobs:
    """A job that is a STUB whatever the dials say, and one that is generated; sent by our own producer."""

    def __init__(self, hurt: Fleet) -> None:
        self.hurt, self.producer = hurt, Producer({"": hurt.client})
        specs = (a_spec(new_job(), allow_ai=False), a_spec(new_job()))
        self.sent: list[Sent] = [self.producer.prepare(each) for each in specs]
        config, prompts = load_executor(None)
        self.key = job_key(Spec.of(specs[1]).jobs[0], prompts, config)
        self.model = config.model
        self.begun = hurt.fake_openai.journal.counts().begun

    def send(self) -> str:
        """Send them; return what the producer says where it cannot."""
        try:
            self.producer.push(self.sent)
        except StoreUnavailable as error:
            return str(error)
        return ""

    def ended(self) -> bool:
        return len(self.producer.results([each.task_id for each in self.sent])) == len(self.sent)

    def codes(self) -> list[str | None]:
        """The status or errorCode of each, once both have one."""
        eventually(self.ended, within_seconds=BACK_SECONDS, saying="a job was lost")
        found = [self.producer.wait(each, timeout_seconds=1)[0] for each in self.sent]
        return [each.error_code or each.result["status"] for each in found]


def places(hurt: Fleet, jobs: Jobs) -> dict[str, str]:
    """What the running worker reads for these jobs, by the names of the table's braces."""
    client, now = hurt.client, hurt.client.time()[0]
    # Its next heartbeat writes what was put aside.
    beating = eventually(lambda: client.keys("slotgen:worker:*"))
    writers = [each.decode().rsplit(":")[-1] for each in client.keys("slotgen:history:*")]
    return {
        "ns": "slotgen",
        "start": str(now - now % 86_400),
        "minute": str(now // 60),
        "target": "brake",
        "worker": beating[0].decode().rsplit(":")[-1],
        "writer": next(iter(writers), "none"),
        "exchange": "",
        "task": jobs.sent[1].task_id,
        "job": jobs.key,
        "model": jobs.model,
        "digit": "3",
    }


def clear(hurt: Fleet, row, key: str) -> None:
    """Do as `slotgen repair` does where the key is wrong, and delete what else was put there."""
    if wrong := judge_one(hurt.client, "slotgen", key):
        # None where the worker was faster: then its own value stays.
        RedisQuarantine(hurt.client, "slotgen").put_aside(wrong, "test", "slotgen repair", "a test")
        assert judge_one(hurt.client, "slotgen", key) is None
    elif row.type == "string" and row is not keys.TASK_META:
        hurt.client.delete(key)
    hurt.open_dials()
    hurt.client.delete("slotgen:budget_usd", "slotgen:breaker", "slotgen:guard")


def hold_up(hurt: Fleet, jobs: Jobs) -> None:
    """Let the worker do with the key what it can."""
    until_mono = time.monotonic() + WRONG_SECONDS
    while not jobs.ended() and time.monotonic() < until_mono:
        time.sleep(0.02)  # whether there will be an answer is what is tried


def as_before(hurt: Fleet) -> None:
    hurt.workers[0].check()
    after = Jobs(hurt)
    assert after.send() == ""
    assert after.codes() == ["NOT_OPTED_IN", "COMPLETED"]
    eventually(lambda: is_ready(hurt), within_seconds=BACK_SECONDS)
    broke = {"task_broke", "job_lost", "background_broke", "job_broke"} & set(hurt.lines.events)
    assert not broke, [each for each in hurt.lines if each["event"] in broke]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", SOME)
def test_a_key_of_another_type_ends_nothing_and_loses_nothing(hurt, row):
    kinds = [kind for kind in MAKES if kind != row.type]
    for kind in kinds if FULL else [kinds[ROWS.index(row) % len(kinds)]]:
        loses_nothing(hurt, row, lambda key, make=MAKES[kind]: make(key, b"x", b"x"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", [row for row in ROWS if row.type == "stream"], ids=lambda row: row.pattern)
def test_a_stream_that_takes_no_entry_any_more_ends_nothing_and_loses_nothing(hurt, row):
    malformed = f"no message beside {row.pattern}".encode()

    loses_nothing(hurt, row, lambda key: ("XADD", key, LAST_OF_ALL, "a", "b"), malformed)

    def is_dead() -> bool:
        return any(each[b"message"] == malformed for _, each in hurt.client.xrange(keys.DEAD("slotgen")))

    eventually(is_dead, within_seconds=BACK_SECONDS)


def loses_nothing(
    hurt: Fleet, row: Key, wrong: Callable[[str], tuple[str | bytes, ...]], *messages: bytes
) -> None:
    """Put into the key of `row` what the command makes of it, and try the worker meanwhile and afterwards.

    It gets the `messages` as well.
    """
    jobs = Jobs(hurt)
    key = name_of(row, places(hurt, jobs))
    spoil(hurt.client, key, wrong(key))
    for each in messages:
        hurt.client.lpush("slotgen", each)
    refused = jobs.send()
    assert (key in refused) == bool(refused), refused
    hold_up(hurt, jobs)
    hurt.workers[0].check()
    if row in DIAL_KEYS.values() and row is not keys.BUDGET_CAP:
        assert jobs.codes()[1] not in {"COMPLETED", None}
        assert hurt.fake_openai.journal.counts().begun == jobs.begun
    clear(hurt, row, key)
    if refused:
        assert jobs.send() == ""

    first, second = jobs.codes()

    assert first in {"NOT_OPTED_IN", "KILL_UNVERIFIED", "KILL_SWITCH", "FEATURE_DISABLED"}
    assert second != "INTERNAL_ERROR"
    assert hurt.fake_openai.journal.counts().begun - jobs.begun == (second == "COMPLETED")
    as_before(hurt)


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("row", SOME)
def test_no_bytes_in_a_key_end_or_lose_anything(hurt, row):
    foreign = Foreign(f"{SEED} {row.pattern}")
    print(f"SLOTGEN_FAULTS_SEED={SEED}")
    together = 1 if row.type == "string" else 10
    for _ in range(VALUES // together):
        jobs = Jobs(hurt)
        key = name_of(row, places(hurt, jobs))
        for command in foreign.commands(row, key, together):
            hurt.client.execute_command(*command)
        jobs.send()
        hold_up(hurt, jobs)
        hurt.workers[0].check()
        clear(hurt, row, key)

        _, second = jobs.codes()

        assert second != "INTERNAL_ERROR"
        assert hurt.fake_openai.journal.counts().begun - jobs.begun <= 1
    as_before(hurt)


@pytest.mark.timeout(120)
def test_what_is_held_for_the_dead_and_is_no_message_is_kept_with_the_dead_letters(hurt):
    foreign = Foreign(f"{SEED} held")
    held = {f"gone:{number}": foreign.value() for number in range(in_full(200, short=30))}
    held |= {"gone:triple": b'["{\\"headers\\": 5}", "", "slotgen"]', "gone:queue": b'["{}", "", 5]'}
    # Three of a kind, but not those; and a queue that is another key of ours.
    held |= {"gone:object": b'{"a": 1, "b": 2, "c": 3}', "gone:text": b'"abc"'}
    held |= {"gone:kill": b'["{}", "", "slotgen:breaker"]'}
    sound = json.dumps([Jobs(hurt).sent[0].message, "", "slotgen"])
    before = hurt.client.xlen(keys.DEAD("slotgen"))
    hurt.client.hset(keys.UNACKED("slotgen"), mapping=held | {"gone:zz": sound})
    hurt.client.zadd(keys.WORKERS("slotgen"), {"gone": 1, b"\xff": 1, "never": "inf"})
    hurt.client.zadd(keys.UNACKED_INDEX("slotgen"), {b"\xff": 0})

    def returned() -> bool:
        # What other tests left there is of no worker that could be lost.
        held_still = any(tag.startswith(b"gone:") for tag in hurt.client.hkeys(keys.UNACKED("slotgen")))
        return not held_still and hurt.client.zscore(keys.UNACKED_INDEX("slotgen"), b"\xff") is None

    eventually(returned, within_seconds=60)
    # What was a message's place went back on the queue, and is refused by whoever takes it next.
    eventually(lambda: hurt.client.xlen(keys.DEAD("slotgen")) - before >= len(held))

    letters = hurt.client.xrevrange(keys.DEAD("slotgen"), count=len(held))
    assert hurt.client.xlen(keys.DEAD("slotgen")) - before == len(held)
    # That has what was in it.
    kept = held | {"gone:triple": b'{"headers": 5}'}
    assert sorted(fields[b"message"] for _, fields in letters) == sorted(kept.values())
    assert not hurt.client.exists("b", "c", keys.BREAKER("slotgen"))
    hurt.client.zrem(keys.WORKERS("slotgen"), "never")
    as_before(hurt)
