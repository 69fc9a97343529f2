"""A task ends in one step: its result, its deliveries, its outcomes, and its message, held no more."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from celery import Celery

import schemas
from tasks.delivery import Answer
from tests.fakes.batches import NotedBatches
from tests.tasks.operations.past import an_outcome
from tests.worker.client.test_results import RESULT
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.results import ResultWriter
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.history import OutcomeEntries, RedisHistory

REASONS = {
    "version": "v1",
    "executorVersion": "2026-11-1",
    "requiresReview": True,
    "errorCodes": [None, None],
}
ANSWER = Answer(
    [RESULT | {"jobId": job, "status": "COMPLETED", "output": {"body": "ж"}} for job in "ab"], REASONS
)


@dataclass
class Task:
    """One task whose message this worker holds, and how it is finished."""

    url: str
    client: object
    namespace: str
    backend: object
    dropped: list[int] = field(default_factory=list)
    trimmed: list[int] = field(default_factory=list)
    in_hand: InHand = field(default_factory=lambda: InHand("w"))
    outcomes: OutcomeEntries = field(default_factory=OutcomeEntries)
    request: SimpleNamespace = field(init=False)

    def __post_init__(self):
        self.request = SimpleNamespace(
            id=str(uuid.uuid4()),
            properties={"delivery_tag": "w:1"},
            ignore_result=False,
            group=None,
            parent_id=None,
        )
        self.hold()

    def hold(self):
        self.client.hset(f"{self.namespace}:unacked", "w:1", "message")
        self.client.zadd(f"{self.namespace}:unacked_index", {"w:1": 1})
        self.in_hand.specs["w:1"] = {}
        for job in "ab":
            self.outcomes.add(an_outcome(job, task_id=self.request.id))

    def run(self, scenario, kept=100):
        async def composed():
            async with open_async(self.url, timeout_seconds=5) as client:
                batches = NotedBatches(client)
                writer = ResultWriter(
                    self.backend, batches, self.namespace, self.in_hand, self.outcomes, kept, kept,
                    self.dropped.append, self.trimmed.append,
                )  # fmt: skip
                return await scenario(writer, batches)

        return asyncio.run(composed())

    def finish(self, result=ANSWER.results, answer=ANSWER, kept=100):
        return self.run(lambda writer, _: writer.finish(self.request, result, answer), kept)

    @property
    def stored(self):
        kept = self.client.get(f"celery-task-meta-{self.request.id}")
        return json.loads(kept) if kept else None

    @property
    def deliveries(self):
        found = self.client.xrange(f"{self.namespace}:results")
        return [json.loads(fields[b"delivery"]) for _, fields in found]

    @property
    def jobs(self):
        return [each.subject.job_id for each in RedisHistory(self.client, self.namespace).since(0, 1000)]

    @property
    def held(self):
        return self.client.hlen(f"{self.namespace}:unacked") + self.client.zcard(
            f"{self.namespace}:unacked_index"
        )


@pytest.fixture
def task(redis_server, redis_client, namespace):
    url = f"worker.adapters.celery.results:PatientBackend+{redis_server.url}"
    with Celery("test", broker=redis_server.url, backend=url, set_as_current=False) as app:
        app.conf.result_serializer = "json"
        yield Task(redis_server.url, redis_client, namespace, app.backend)


def test_everything_that_is_said_of_a_task_is_there_and_its_message_is_not(task):
    task.finish()

    assert (task.stored["status"], task.stored["result"]) == ("SUCCESS", ANSWER.results)
    assert task.stored["reasons"] == REASONS
    assert [each["jobId"] for each in task.deliveries] == ["a", "b"]
    assert schemas.violations("delivery.v1", task.deliveries[0]) == []
    assert task.jobs == ["a", "b"]
    assert (task.held, task.in_hand.specs, task.outcomes.of(task.request.id)) == (0, {}, [])


def test_who_listens_is_told(task):
    listener = task.client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(f"celery-task-meta-{task.request.id}")
    listener.get_message(timeout=5)

    task.finish()

    assert json.loads(listener.get_message(timeout=5)["data"]) == task.stored
    listener.close()


def test_a_failure_is_stored_as_celery_reads_it(task):
    task.finish(ValueError("what"), None)

    meta = task.backend.get_task_meta(task.request.id)
    assert (meta["status"], meta["traceback"]) == ("FAILURE", None)
    assert isinstance(meta["result"], ValueError)
    assert (task.deliveries, task.held) == ([], 0)


def test_a_producer_that_wants_no_result_gets_none_and_the_message_goes(task):
    task.request.ignore_result = True

    task.finish()

    assert (task.stored, len(task.deliveries), task.held) == (None, 2, 0)


def test_what_redis_has_done_and_answered_too_late_is_not_done_twice(task):
    task.finish()
    for job in "ab":
        task.outcomes.add(an_outcome(job, task_id=task.request.id))

    task.finish()

    assert (len(task.deliveries), task.jobs) == (2, ["a", "b"])


def test_a_message_that_somebody_else_has_now_is_answered_and_left_to_them(task):
    task.client.delete(f"{task.namespace}:unacked", f"{task.namespace}:unacked_index")

    task.finish()

    assert (task.stored["status"], task.deliveries, task.jobs) == ("SUCCESS", [], [])


def test_where_nobody_may_be_told_it_is_done_once(task):
    task.client.execute_command("ACL", "SETUSER", "default", "-publish")
    try:
        task.finish()
    finally:
        task.client.execute_command("ACL", "SETUSER", "default", "+publish")

    assert task.stored["status"] == "SUCCESS"
    assert (len(task.deliveries), task.jobs, task.held) == (2, ["a", "b"], 0)


def test_both_streams_are_bounded(task):
    for _ in range(120):
        task.hold()
        task.finish()

    # Redis trims whole nodes, of at most 100 entries.
    assert 100 <= len(task.deliveries) <= 200
    assert 100 <= len(task.jobs) <= 200
    assert len(task.deliveries) + sum(task.trimmed) == 240


def test_a_history_that_takes_nothing_costs_its_outcomes_alone_and_they_are_counted(task):
    task.client.set(f"{task.namespace}:history", "in the way")

    task.finish()

    assert (task.stored["status"], task.held, task.dropped) == ("SUCCESS", 0, [2])


@pytest.mark.parametrize("why", ["the stream is none", "the replicas are gone"])
def test_a_redis_that_refuses_is_waited_for_and_nothing_is_done_by_halves(task, caplog, why):
    caplog.set_level(logging.WARNING)
    ways = {
        "the stream is none": (
            lambda: task.client.set(f"{task.namespace}:results", "in the way"),
            lambda: task.client.delete(f"{task.namespace}:results"),
        ),
        # Neither full nor away, and for redis-py only some error.
        "the replicas are gone": (
            lambda: task.client.config_set("min-replicas-to-write", 1),
            lambda: task.client.config_set("min-replicas-to-write", 0),
        ),
    }
    refuse, accept = ways[why]

    async def scenario(writer, batches):
        refuse()
        try:
            finishing = asyncio.create_task(writer.finish(task.request, ANSWER.results, ANSWER))
            await batches.refusals(2)
            before = (finishing.done(), task.stored, task.held, task.jobs)
        finally:
            accept()
        await finishing
        return before

    assert task.run(scenario) == (False, None, 2, [])
    assert (task.stored["status"], len(task.deliveries), task.jobs, task.held) == (
        "SUCCESS",
        2,
        ["a", "b"],
        0,
    )
    assert [each.message for each in caplog.records].count("result_refused") == 1
