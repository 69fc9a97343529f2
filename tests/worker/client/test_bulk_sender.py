"""A run on a real Redis whose worker is the test: order, window, back-pressure, strictness, checkpoints."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import tempfile
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest

from tasks.errors import StoreUnavailable
from tests.builders import a_job, a_spec
from tests.fakes.clock import SteppedTime
from tests.worker.client.test_results import REASONS, RESULT, stored
from worker.client import Producer
from worker.client.bulk_sender import BulkSender, FlowControl, RefusedSpec
from worker.client.checkpoint import BadCheckpoint, Checkpoint, Waiting
from worker.client.reader import Reader
from worker.client.sources import Item

PACE = FlowControl()


class Heard:
    """A listener, and with `work` the worker: it is called whenever the run looks around."""

    def __init__(self, work=lambda: None):
        self.work, self.lines, self.depths = work, [], []

    def sent(self, item, sent):
        self.lines.append(("sent", item.number))

    def delivered(self, delivery):
        self.lines.append(("delivered", delivery.job_id))

    def failed(self, place, task_id, problem):
        if task_id is None:
            self.lines.append(("refused", int(place.rpartition(":")[2]), problem))
        else:
            self.lines.append(("unanswered", place, problem))

    def looked(self, queue_depth, problem):
        self.depths.append((queue_depth, problem))
        self.work()


@pytest.fixture
def producer(redis_client, namespace):
    return Producer({"": redis_client}, namespace)


def lines_of(number, **broken):
    texts = [json.dumps(a_spec(a_job(f"job-{each}"))) for each in range(1, number + 1)]
    for at, text in broken.items():
        texts[int(at.removeprefix("line")) - 1] = text
    return [Item("specs.jsonl", each, text.encode()) for each, text in enumerate(texts, 1)]


def feed(producer, items, heard, checkpoint, flow=PACE, interruptible=nullcontext):
    reader, passing = Reader(checkpoint.remaining(iter(items)), queue.Queue()), SteppedTime()
    reader._run()  # before the run, so that what it finds there each time is no matter of threads
    BulkSender(producer, reader, checkpoint, heard, flow, interruptible, passing.sleep, passing.mono).run()


def fresh(*, wait):
    return Checkpoint("/", ["specs.jsonl"], wait)


def a_worker(redis_client, namespace, *, newest_first=False, most=10_000):
    """Return what answers up to `most` of the waiting messages."""

    def work():
        for _ in range(most):
            raw = redis_client.lpop(namespace) if newest_first else redis_client.rpop(namespace)
            if raw is None:
                return
            message = json.loads(raw)
            spec = json.loads(base64.b64decode(message["body"]))[0][0]
            result = RESULT | {"jobId": spec["jobs"][0]["jobId"]}
            key = f"celery-task-meta-{message['headers']['id']}"
            redis_client.set(key, stored("SUCCESS", [result], reasons=REASONS))

    return work


def test_answers_come_in_the_order_of_the_input_whoever_is_first(producer, redis_client, namespace):
    heard = Heard(a_worker(redis_client, namespace, newest_first=True, most=30))
    checkpoint = fresh(wait=True)

    feed(producer, lines_of(250), heard, checkpoint)

    assert heard.lines == [("delivered", f"job-{each}") for each in range(1, 251)]
    assert checkpoint.counts == Counter({"sent": 250, "answered": 250, "STUB KILL_SWITCH": 250})
    assert checkpoint.waiting == []


def test_an_input_that_is_slow_does_not_keep_answers_from_being_collected(producer, redis_client, namespace):
    delivered = threading.Event()

    def lines():
        first, second = lines_of(2)
        yield first
        assert delivered.wait(10)
        yield second

    class Delivered(Heard):
        def delivered(self, delivery):
            super().delivered(delivery)
            delivered.set()

    heard, checkpoint = Delivered(a_worker(redis_client, namespace)), fresh(wait=True)
    reader = Reader(checkpoint.remaining(lines()))
    reader.start()
    BulkSender(producer, reader, checkpoint, heard, PACE, nullcontext).run()

    assert heard.lines == [("delivered", "job-1"), ("delivered", "job-2")]


def test_no_more_are_on_their_way_than_the_window_holds(producer, redis_client, namespace):
    most = []
    work = a_worker(redis_client, namespace, most=3)
    heard = Heard(lambda: (most.append(redis_client.llen(namespace)), work()))

    feed(producer, lines_of(60), heard, fresh(wait=True), FlowControl(window=10))

    assert max(most) == 10
    assert len(heard.lines) == 60


def test_waits_while_the_queue_is_full_and_says_so(producer, redis_client, namespace):
    depths = []
    some = a_worker(redis_client, namespace, most=60)

    def work():
        depths.append(redis_client.llen(namespace))
        if depths[-1] == 150:
            some()

    heard = Heard(work)
    feed(producer, lines_of(450), heard, fresh(wait=False), FlowControl(max_queue=150))

    assert max(depths) == 150
    assert any("waiting for room" in problem for _, problem in heard.depths)
    assert heard.lines == [("sent", each) for each in range(1, 451)]


def test_an_invalid_spec_is_named_and_the_others_are_sent(producer, redis_client, namespace):
    heard, checkpoint = Heard(), fresh(wait=False)

    feed(producer, lines_of(4, line2="{half", line3='{"version": "v1"}'), heard, checkpoint)

    assert [line[:2] for line in heard.lines] == [("sent", 1), ("refused", 2), ("refused", 3), ("sent", 4)]
    assert heard.lines[1][2].startswith("the spec is not JSON (line 1, column 2)")
    assert heard.lines[2][2].startswith("appliesTo: is missing")
    assert redis_client.llen(namespace) == 2
    assert checkpoint.counts == Counter(sent=2, refused=2)


def test_a_strict_run_stops_before_what_is_invalid_and_goes_on_when_it_is_mended(
    producer, redis_client, namespace
):
    heard, checkpoint = Heard(a_worker(redis_client, namespace)), fresh(wait=True)
    broken = lines_of(5, line3="[]")

    with pytest.raises(RefusedSpec, match=r"specs.jsonl:3: .*an object"):
        feed(producer, broken, heard, checkpoint, FlowControl(strict=True))

    assert heard.lines == [("delivered", "job-1"), ("delivered", "job-2")]
    feed(producer, lines_of(5), heard, reread(checkpoint), FlowControl(strict=True))
    assert heard.lines == [("delivered", f"job-{each}") for each in range(1, 6)]


def reread(checkpoint):
    """The checkpoint as a later process reads it."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.write(Path(folder) / "checkpoint")
        return Checkpoint.read(Path(folder) / "checkpoint", 86_400)


def test_an_interrupted_run_goes_on_where_it_stopped(producer, redis_client, namespace):
    items, checkpoint = lines_of(300), fresh(wait=True)
    work = a_worker(redis_client, namespace, most=40)
    first = Heard(work)

    def until_ctrl_c():
        if len(first.lines) > 90:
            raise KeyboardInterrupt
        return nullcontext()

    with pytest.raises(KeyboardInterrupt):
        feed(producer, items, first, checkpoint, FlowControl(window=120), until_ctrl_c)
    second, resumed = Heard(work), reread(checkpoint)
    assert 0 < len(resumed.waiting) <= 120
    feed(producer, items, second, resumed)

    assert first.lines + second.lines == [("delivered", f"job-{each}") for each in range(1, 301)]
    assert resumed.counts["sent"] == resumed.counts["answered"] == 300


@pytest.mark.parametrize("changed", [lines_of(2), lines_of(5, line2='{"other": 1}')])
def test_an_input_that_has_changed_is_not_resumed(producer, redis_client, namespace, changed):
    checkpoint = fresh(wait=False)
    feed(producer, lines_of(3), Heard(), checkpoint)

    with pytest.raises(BadCheckpoint, match="the input has changed"):
        feed(producer, changed, Heard(), reread(checkpoint))

    assert redis_client.llen(namespace) == 3


def test_a_spec_without_an_answer_is_given_up_and_the_others_handed_on(producer, redis_client, namespace):
    work = a_worker(redis_client, namespace, newest_first=True, most=1)
    worked = []
    heard = Heard(lambda: worked.append(work()) if len(worked) < 1 else None)
    checkpoint = fresh(wait=True)

    feed(producer, lines_of(2), heard, checkpoint, FlowControl(timeout_seconds=300))

    assert heard.lines == [("unanswered", "specs.jsonl:1", "no answer in 300 s"), ("delivered", "job-2")]
    assert (checkpoint.counts["unanswered"], checkpoint.counts["answered"]) == (1, 1)


class Cut:
    """The real producer behind a line that breaks: calls of these numbers fail once they are carried out."""

    def __init__(self, producer, *numbers):
        self.producer, self.numbers, self.calls = producer, numbers, Counter()
        self.prepare = producer.prepare

    def __getattr__(self, name):
        def call(*arguments):
            found = getattr(self.producer, name)(*arguments)
            self.calls[name] += 1
            if self.calls[name] in self.numbers:
                raise StoreUnavailable("Redis at its address did not answer (TimeoutError)")
            return found

        return call


def test_a_lost_reply_neither_loses_nor_doubles_an_answer(producer, redis_client, namespace):
    heard = Heard(a_worker(redis_client, namespace))

    feed(Cut(producer, 2, 4), lines_of(250), heard, fresh(wait=True))

    assert heard.lines == [("delivered", f"job-{each}") for each in range(1, 251)]
    assert any("did not answer (TimeoutError)" in problem for _, problem in heard.depths)


def test_a_redis_that_stays_away_ends_the_run_with_everything_noted(producer):
    checkpoint = fresh(wait=True)

    with pytest.raises(StoreUnavailable):
        feed(Cut(producer, *range(2, 1000)), lines_of(250), Heard(), checkpoint)

    assert (checkpoint.position, len(checkpoint.waiting)) == (100, 100)


def test_a_redis_that_never_answered_is_not_waited_for(producer):
    heard, checkpoint = Heard(), fresh(wait=True)

    with pytest.raises(StoreUnavailable):
        feed(Cut(producer, 1), lines_of(3), heard, checkpoint)

    assert (checkpoint.position, heard.depths) == (0, [])


def test_a_run_that_ends_before_it_saw_the_old_specs_again_keeps_its_place(producer, tmp_path):
    checkpoint = fresh(wait=False)
    feed(producer, lines_of(3), Heard(), checkpoint)

    at_once = reread(checkpoint)
    at_once = reread(at_once)
    heard = Heard()
    feed(producer, lines_of(4), heard, at_once)

    assert heard.lines == [("sent", 4)]


def test_answers_that_are_gone_are_not_waited_for(producer, redis_client, namespace):
    checkpoint = fresh(wait=True)
    checkpoint.position, checkpoint.waiting = 1, [Waiting("specs.jsonl", 1, "a-task")]
    checkpoint._expected = hashlib.sha256(lines_of(1)[0].text + b"\n").hexdigest()
    checkpoint.stale = True
    heard = Heard(a_worker(redis_client, namespace))

    feed(producer, lines_of(2), heard, checkpoint)

    assert [each[0] for each in heard.lines] == ["unanswered", "delivered"]
    assert "its answer is gone" in heard.lines[0][2]


def test_what_cannot_be_written_leaves_the_old_bookmark(tmp_path):
    path = tmp_path / "checkpoint"
    feed_nothing = fresh(wait=True)
    feed_nothing.write(path)
    before = path.read_bytes()
    (tmp_path / "checkpoint.new").mkdir()

    with pytest.raises(OSError, match=r"checkpoint\.new"):
        Checkpoint("/", ["other"], wait=False).write(path)

    assert path.read_bytes() == before


def test_what_is_no_bookmark_is_named(tmp_path):
    (tmp_path / "a").write_text("{}")
    (tmp_path / "b").write_text('{"version": "enqueue.v9"}')

    for name, why in {"a": "is not a file", "b": "has version 'enqueue.v9'", "c": "cannot be read"}.items():
        with pytest.raises(BadCheckpoint, match=why):
            Checkpoint.read(tmp_path / name, 86_400)
