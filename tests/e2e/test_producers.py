"""What a producer gets from a real worker: answers with their reasons, progress, cancellation, the stream."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager

import pytest
from celery.exceptions import TaskRevokedError

import schemas
from tests.builders import a_spec, new_job, open_dials
from tests.e2e.conftest import WAIT_SECONDS, a_system
from tests.fakes.openai.server import Behaviour
from tests.waiting import eventually
from worker.client import InvalidMessage, Producer, Progress, TaskRevoked


@pytest.fixture
def producer(system):
    with Producer.open(system.stack.redis_url) as opened:
        yield opened


def test_stub_completed_and_failed_come_with_their_reasons(system, producer):
    jobs = [new_job(), new_job(mode="verbatim"), new_job(output={"field": "body", "type": "hologram"})]

    # By Celery: the client itself would not send the third.
    deliveries = producer.wait(system.send(a_spec(*jobs)).id, timeout_seconds=WAIT_SECONDS)

    assert [(each.job_id, each.status, each.error_code) for each in deliveries] == [
        (jobs[0]["jobId"], "COMPLETED", None),
        (jobs[1]["jobId"], "STUB", "VERBATIM_MODE"),
        (jobs[2]["jobId"], "FAILED", "UNSUPPORTED_OUTPUT_TYPE"),
    ]
    assert [system.event_of(each.job_id)["telemetry"]["errorCode"] for each in deliveries] == [
        each.error_code for each in deliveries
    ]
    assert all(schemas.is_valid("delivery.v1", each.as_document()) for each in deliveries)


def test_the_result_backend_is_celerys_with_the_reasons_beside(system, producer):
    pending = system.send(a_spec(new_job(mode="verbatim")))
    (result,) = pending.get(timeout=WAIT_SECONDS)

    stored = json.loads(system.stack.client.get(f"celery-task-meta-{pending.id}"))
    assert stored["result"] == [result]
    assert schemas.violations("result.v1", result) == []
    assert schemas.violations("reasons.v1", stored["reasons"]) == []
    assert stored["reasons"]["errorCodes"] == ["VERBATIM_MODE"]


def test_the_same_spec_twice_at_once_is_answered_twice_and_paid_once(system, producer):
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    before = system.fake_openai.journal.counts().begun
    spec = a_spec(new_job(input={"topic": str(uuid.uuid4())}))

    sent = [producer.send(spec), producer.send(spec)]
    eventually(lambda: system.stack.client.hlen("slotgen:unacked") == 2)
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, WAIT_SECONDS)
    system.fake_openai.release()
    first, second = (producer.wait(each, timeout_seconds=WAIT_SECONDS)[0] for each in sent)
    (again,) = producer.wait(producer.send(spec), timeout_seconds=WAIT_SECONDS)

    assert first.output == second.output == again.output
    assert first.output is not None
    assert system.fake_openai.journal.counts().begun - before == 1


def test_the_worker_says_what_the_client_would_have_said(system, producer):
    broken = a_spec(new_job()) | {"version": "v9"}
    with pytest.raises(InvalidMessage) as here:
        producer.prepare(broken)

    pending = system.send(broken)
    with pytest.raises(InvalidMessage) as there:
        producer.wait(pending.id, timeout_seconds=WAIT_SECONDS)

    assert str(there.value) == str(here.value)


def test_a_spec_of_several_jobs_tells_how_far_it_is(system, producer):
    quick, slow = [new_job(mode="verbatim") for _ in range(3)], [new_job() for _ in range(3)]
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    sent = producer.send(a_spec(*quick, *slow))
    celery_view = system.celery.AsyncResult(sent.task_id)

    assert eventually(lambda: producer.progress(sent)) == Progress(3, 6)
    assert (celery_view.state, celery_view.info["done"]) == ("PROGRESS", 3)
    assert schemas.violations("progress.v1", celery_view.info) == []
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 3, WAIT_SECONDS)
    system.fake_openai.release()
    assert len(producer.wait(sent, timeout_seconds=WAIT_SECONDS)) == 6
    assert celery_view.state == "SUCCESS"


def test_one_job_is_stored_once(system, producer):
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    sent = producer.prepare(a_spec(new_job()))
    channel = f"celery-task-meta-{sent.task_id}"
    seen = system.stack.client.pubsub(ignore_subscribe_messages=True)
    seen.subscribe(channel)
    producer.push([sent])
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, WAIT_SECONDS)
    # A spec of several jobs that came later has told how far it is: this one never will.
    several = producer.send(a_spec(new_job(mode="verbatim"), new_job()))
    eventually(lambda: producer.progress(several))

    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 2, WAIT_SECONDS)
    system.fake_openai.release()
    for each in (sent, several):
        producer.wait(each, timeout_seconds=WAIT_SECONDS)

    system.stack.client.publish(channel, '{"status": "the end"}')
    states = []
    while states[-1:] != ["the end"]:
        message = seen.get_message(timeout=WAIT_SECONDS)
        states += [json.loads(message["data"])["status"]] if message else []
    seen.close()
    assert states == ["SUCCESS", "the end"]


NARROW = {"SLOTGEN_STREAM_RESULTS": "1000", "SLOTGEN_SHUTDOWN_GRACE_SECONDS": "1"}


@contextmanager
def a_narrow_system():
    """A system of one thread, that hands its results to the stream as well."""
    with a_system(concurrency=1, settings=NARROW) as started:
        started.stack.client.mset(open_dials())
        yield started


@pytest.fixture(scope="module")
def narrow_for_all():
    with a_narrow_system() as started:
        yield started


@pytest.fixture
def narrow(narrow_for_all):
    narrow_for_all.stack.client.delete("slotgen:results")
    narrow_for_all.fake_openai.behave(Behaviour())
    return narrow_for_all


def test_cancels_what_has_not_begun_and_tells_who_waits(narrow):
    begun = narrow.fake_openai.journal.counts().begun
    narrow.fake_openai.play_next(Behaviour(delay_seconds=60))
    with Producer.open(narrow.stack.redis_url) as producer:
        # One is worked on, one lies ready in the worker, the others wait.
        sent = producer.send_all([a_spec(new_job(input={"topic": str(each)})) for each in range(5)])
        narrow.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, WAIT_SECONDS)

        assert producer.cancel(sent[0]) is False
        assert producer.cancel(sent[4]) is True
        assert producer.cancel(sent[4]) is False
        narrow.fake_openai.release()

        with pytest.raises(TaskRevoked, match="nothing was generated"):
            producer.wait(sent[4], timeout_seconds=WAIT_SECONDS)
        for each in sent[:4]:
            assert producer.wait(each, timeout_seconds=WAIT_SECONDS)[0].status == "COMPLETED"
    assert narrow.fake_openai.journal.counts().begun == begun + 4
    from tests.closing_celery import Celery

    celery = Celery(broker=narrow.stack.redis_url, backend=narrow.stack.redis_url, set_as_current=False)
    with pytest.raises(TaskRevokedError):
        celery.AsyncResult(sent[4].task_id).get(timeout=WAIT_SECONDS)
    celery.close()


def test_what_has_not_begun_when_it_expires_is_revoked(narrow):
    begun = narrow.fake_openai.journal.counts().begun
    with Producer.open(narrow.stack.redis_url) as producer:
        sent = producer.send(a_spec(new_job()), expires_seconds=0.001)

        with pytest.raises(TaskRevoked):
            producer.wait(sent, timeout_seconds=WAIT_SECONDS)
    assert narrow.fake_openai.journal.counts().begun == begun


def test_a_consumer_that_dies_leaves_its_results_to_the_next(narrow):
    key, client = "slotgen:results", narrow.stack.client
    client.xgroup_create(key, "content", id="0", mkstream=True)
    with Producer.open(narrow.stack.redis_url) as producer:
        sent = producer.send(a_spec(new_job(), new_job(mode="verbatim")))
        waited = producer.wait(sent, timeout_seconds=WAIT_SECONDS)

    ((_, taken),) = client.xreadgroup("content", "dies", {key: ">"}, count=10)
    client.xack(key, "content", taken[0][0])
    claimed = client.xautoclaim(key, "content", "lives", min_idle_time=0)[1]

    documents = [json.loads(fields[b"delivery"]) for _, fields in taken]
    assert documents == [each.as_document() for each in waited]
    assert [entry_id for entry_id, _ in claimed] == [taken[1][0]]


def test_a_result_is_in_the_stream_before_its_message_is_acknowledged(narrow):
    """A worker killed between the two answers the message again: twice in the stream, never not at all."""
    client = narrow.stack.client
    client.set("slotgen:results", "in the way")
    with Producer.open(narrow.stack.redis_url) as producer:
        sent = producer.send(a_spec(new_job(mode="verbatim")))
        narrow.lines.wait_for(lambda lines: "result_refused" in lines.events)

        assert producer.results([sent.task_id]) == []
        assert client.hlen("slotgen:unacked") == 1
        client.delete("slotgen:results")
        producer.wait(sent, timeout_seconds=WAIT_SECONDS)
    assert client.xlen("slotgen:results") == 1


def test_a_worker_with_a_stream_in_the_way_still_stops_and_its_messages_go_back():
    with a_narrow_system() as narrow, Producer.open(narrow.stack.redis_url) as producer:
        narrow.stack.client.set("slotgen:results", "in the way")
        producer.send(a_spec(new_job(mode="verbatim")))
        narrow.lines.wait_for(lambda lines: "result_refused" in lines.events)

        assert narrow.stack.worker.stop() == 0
        assert producer.queue_depth() == 1
