"""The producer's side, on a real Redis without a worker: what is checked, sent, taken back and waited for."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.errors import InvalidMessage, StoreUnavailable
from tasks.generate.intake import MessageLimits, inspect
from tests.builders import a_job, a_spec
from tests.worker.client.test_results import REASONS, RESULT, stored
from worker.client import AnswerLate, Producer


@pytest.fixture
def producer(redis_client, namespace):
    return Producer({"": redis_client}, namespace)


def test_a_message_is_what_the_workers_gatekeeper_lets_pass(producer, redis_client, namespace):
    sent = producer.send(a_spec())

    (raw,) = redis_client.lrange(namespace, 0, -1)
    assert inspect(raw, MessageLimits()).message["headers"]["id"] == sent.task_id


def test_what_is_no_spec_stays_here_with_the_workers_own_words(producer, redis_client, namespace):
    with pytest.raises(InvalidMessage, match=r"jobs\[0\].jobId: is used by 2 jobs of this spec"):
        producer.send_all([a_spec(a_job("a"), a_job("b")), a_spec(a_job("a"), a_job("a"))])

    assert redis_client.llen(namespace) == 0


@pytest.mark.parametrize(
    "send", [Producer.send, Producer.prepare, lambda producer, spec: producer.send_all([spec])]
)
def test_an_output_type_that_there_is_not_stays_here_with_the_one_that_was_meant(
    producer, redis_client, namespace, send
):
    spec = a_spec(a_job("a"), a_job("b", output={"field": "cards", "type": "flashcard"}))

    with pytest.raises(
        InvalidMessage, match=r"^jobs\[1\].output.type: is flashcard, .* did you mean flashcards\?$"
    ):
        send(producer, spec)

    assert redis_client.llen(namespace) == 0


def test_a_verbatim_job_may_have_any_type_for_nothing_is_generated(producer):
    producer.prepare(a_spec(a_job(mode="verbatim", output={"field": "notice", "type": "html"})))


@pytest.mark.parametrize("spec", [{1, 2}, object(), float("nan"), {"version": b"v1"}])
def test_what_is_not_json_is_said_to_be_none(producer, spec):
    with pytest.raises(InvalidMessage):
        producer.send(spec)


def test_a_reference_to_itself_is_no_json(producer):
    spec = a_spec()
    spec["jobs"].append(spec)

    with pytest.raises(InvalidMessage, match="not JSON"):
        producer.send(spec)


def test_the_limit_counts_bytes_as_they_are_sent(redis_client, namespace):
    # Cyrillic letters take two bytes each; escaped, they would take six.
    spec = a_spec(a_job(input={"text": "ж" * 100_000}))

    Producer({"": redis_client}, namespace, MessageLimits(max_message_bytes=262_144)).send(spec)
    with pytest.raises(InvalidMessage, match="the limit is 150000"):
        Producer({"": redis_client}, namespace, MessageLimits(max_message_bytes=150_000)).send(spec)


def test_cancels_what_no_worker_has_begun(producer, redis_client, namespace):
    kept, cancelled = producer.send_all([a_spec(), a_spec()])

    assert producer.cancel(cancelled) is True

    waiting = {json.loads(raw)["headers"]["id"]: raw for raw in redis_client.lrange(namespace, 0, -1)}
    assert waiting[kept.task_id].decode() == kept.message
    # In its place is one that the next worker revokes: who waits for it is told.
    assert (
        inspect(waiting[cancelled.task_id], MessageLimits()).message["headers"]["expires"].startswith("2020-")
    )
    assert len(waiting) == 2


def test_does_not_cancel_what_a_worker_has(producer, redis_client, namespace):
    sent = producer.send(a_spec())
    redis_client.rpop(namespace)

    assert producer.cancel(sent) is False
    assert redis_client.llen(namespace) == 0


def test_cancels_every_copy_of_a_message_that_was_pushed_twice(producer, redis_client, namespace):
    sent = producer.send(a_spec())
    producer.push([sent])

    assert producer.cancel(sent) is True
    (raw,) = redis_client.lrange(namespace, 0, -1)
    assert json.loads(raw)["headers"]["expires"].startswith("2020-")


def test_who_waits_for_what_was_cancelled_is_told_in_spite_of_a_lost_push(redis_client, namespace):
    class Failing:
        """The real client, whose first LPUSH of what is revoked fails."""

        failures = 1

        def __getattr__(self, name):
            return getattr(redis_client, name)

        def lpush(self, *arguments):
            if self.failures and "2020-" in arguments[-1]:
                self.failures -= 1
                raise ConnectionResetError
            return redis_client.lpush(*arguments)

    producer = Producer({"": Failing()}, namespace)
    sent = producer.send(a_spec())

    assert producer.cancel(sent) is True
    assert redis_client.llen(namespace) == 1


def test_a_hundred_threads_may_share_one(redis_server, namespace):
    with Producer.open(redis_server.url, namespace=namespace) as producer, ThreadPoolExecutor(100) as threads:
        barrier = threading.Barrier(100)

        def send(number):
            barrier.wait(10)
            return [producer.send(a_spec(a_job(f"job-{number}-{each}"))) for each in range(3)]

        sent = list(threads.map(send, range(100)))
        depth = producer.queue_depth()

    assert depth == sum(len(each) for each in sent) == 300


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_an_expiry_that_is_none_is_refused(producer, seconds):
    with pytest.raises(ValueError, match="expires_seconds is"):
        producer.send(a_spec(), expires_seconds=seconds)


def test_half_a_surrogate_pair_is_named(producer):
    with pytest.raises(InvalidMessage, match="half a surrogate pair"):
        producer.send(a_spec(a_job(input={"topic": "\ud800"})))


def test_an_answer_that_does_not_come_is_late_and_says_where_to_look(producer):
    sent = producer.send(a_spec())

    with pytest.raises(AnswerLate, match=f"0.02 s for 1 of the tasks, the first is {sent.task_id}"):
        producer.wait(sent, timeout_seconds=0.02)


def test_endings_come_in_the_order_of_their_answers_and_once_each(producer, redis_client):
    first, second = producer.send_all([a_spec(), a_spec()])

    def answer(sent):
        redis_client.set(f"celery-task-meta-{sent.task_id}", stored("SUCCESS", [RESULT], reasons=REASONS))

    answer(second)
    coming = producer.as_completed([first, second, first], timeout_seconds=10)
    assert next(coming).task_id == second.task_id
    answer(first)
    assert [each.task_id for each in coming] == [first.task_id]


def test_waits_through_a_redis_that_is_away(producer, redis_client, redis_server):
    sent = producer.send(a_spec())
    stalled = threading.Event()

    def away_then_answered():
        stalled.wait(10)
        redis_client.set(f"celery-task-meta-{sent.task_id}", stored("SUCCESS", [RESULT], reasons=REASONS))

    thread = threading.Thread(target=away_then_answered)
    thread.start()

    class Failing:
        """The real client, behind a line that is cut once."""

        connection_pool = redis_client.connection_pool

        def mget(self, keys):
            if not stalled.is_set():
                stalled.set()
                raise ConnectionResetError
            return redis_client.mget(keys)

    cut = Producer({"": Failing()}, producer.namespace)
    assert cut.wait(sent, timeout_seconds=10)[0].error_code == "KILL_SWITCH"
    thread.join()


def test_a_redis_that_is_not_there_is_named(namespace):
    with Producer.open("redis://127.0.0.1:1/0", namespace=namespace) as producer:
        with pytest.raises(StoreUnavailable, match="ConnectionError"):
            producer.send(a_spec())
        with pytest.raises(AnswerLate, match=r"Redis at .* did not answer"):
            producer.wait("some-task", timeout_seconds=0.1)


def test_sending_nothing_sends_nothing(producer, redis_client, namespace):
    assert producer.send_all([]) == []
    assert redis_client.exists(namespace) == 0
