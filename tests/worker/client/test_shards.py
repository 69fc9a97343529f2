"""Several Redis behind one producer: which carries a job, and where its answer is found and taken back."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from gates.rollout import bucket
from tasks.errors import InvalidMessage
from tests.builders import a_job, a_spec
from tests.ports import free_port
from tests.worker.client.test_results import REASONS, RESULT, stored
from worker.adapters.redis.clients import open_sync
from worker.client import AnswerLate, Producer
from worker.client.shards import shard_of

NAMES = ["eu-1", "eu-2", "us-1"]
JOB_IDS = [f"job-{number}" for number in range(20_000)]


@pytest.mark.parametrize(
    ("job_id", "name"), [("bio-cells-01", "us-1"), ("", "eu-1"), ("Größe 3 · ж", "us-1"), ("job-1", "eu-2")]
)
def test_the_choice_is_pinned(job_id, name):
    assert shard_of(job_id, NAMES) == name
    assert shard_of(job_id, reversed(NAMES)) == name


@pytest.mark.parametrize("names", [NAMES, [f"shard-{number}" for number in range(8)], ["a", "b"]])
def test_each_carries_its_share(names):
    carried = Counter(shard_of(each, names) for each in JOB_IDS)

    for name in names:
        assert carried[name] == pytest.approx(len(JOB_IDS) / len(names), rel=0.06)


def test_one_more_takes_its_share_and_moves_no_other_job():
    before = {each: shard_of(each, NAMES) for each in JOB_IDS}
    after = {each: shard_of(each, [*NAMES, "us-2"]) for each in JOB_IDS}

    moved = [each for each in JOB_IDS if after[each] != before[each]]

    assert {after[each] for each in moved} == {"us-2"}
    assert len(moved) == pytest.approx(len(JOB_IDS) / 4, rel=0.05)


def test_a_share_of_the_rollout_is_the_same_share_in_each():
    admitted = [each for each in JOB_IDS if bucket(each) < 20_000]

    carried = Counter(shard_of(each, NAMES) for each in admitted)

    for name in NAMES:
        assert carried[name] == pytest.approx(len(admitted) / 3, rel=0.1)


@pytest.fixture
def clients(redis_server):
    """By name, a database each."""
    opened = {
        name: open_sync(f"{redis_server.url[:-1]}{number}", timeout_seconds=5)
        for number, name in enumerate(NAMES)
    }
    yield opened
    for each in opened.values():
        each.close()


@pytest.fixture
def producer(clients, namespace):
    return Producer(clients, namespace)


def task_ids(client, namespace):
    return [json.loads(raw)["headers"]["id"] for raw in client.lrange(namespace, 0, -1)]


def a_job_of(name):
    return a_job(next(each for each in JOB_IDS if shard_of(each, NAMES) == name))


def test_a_spec_goes_whole_to_the_redis_of_its_first_job(producer, clients, namespace):
    spec = a_spec(a_job_of("eu-2"), a_job_of("eu-1"), a_job_of("us-1"))

    sent = producer.send(spec)

    assert sent.task_id.startswith("eu-2:")
    assert {name: task_ids(each, namespace) for name, each in clients.items()} == {
        "eu-1": [],
        "eu-2": [sent.task_id],
        "us-1": [],
    }
    assert producer.queue_depth() == 1


def test_many_are_sent_with_one_command_for_each(producer, clients, namespace):
    sent = producer.send_all(a_spec(a_job(each)) for each in JOB_IDS[:60])

    for name, each in clients.items():
        expected = [one.task_id for one in sent if one.task_id.startswith(f"{name}:")]
        assert task_ids(each, namespace) == expected[::-1]
    assert producer.queue_depth() == 60


def test_what_is_no_spec_has_no_redis_either(producer):
    for spec in ({}, {"jobs": []}, {"jobs": [{"jobId": "\ud800"}]}, a_spec(a_job("\ud800")), None):
        with pytest.raises(InvalidMessage):
            producer.send(spec)


def test_an_answer_is_looked_for_where_its_task_id_says(producer, clients):
    sent = producer.send_all([a_spec(a_job_of(name)) for name in NAMES])
    for name, each in zip(NAMES, sent, strict=True):
        clients[name].set(f"celery-task-meta-{each.task_id}", stored("SUCCESS", [RESULT], reasons=REASONS))

    ended = list(producer.as_completed([each.task_id for each in sent], timeout_seconds=5))

    assert {each.task_id for each in ended} == {each.task_id for each in sent}
    assert [each.task_id for each in producer.results([each.task_id for each in sent])] == [
        each.task_id for each in sent
    ]


def test_a_redis_that_is_away_keeps_no_other_answer_back(clients, namespace):
    away = {"us-1": open_sync(f"redis://127.0.0.1:{free_port()}/0")}
    with Producer(clients | away, namespace) as producer:
        here, there = (producer.prepare(a_spec(a_job_of(name))) for name in ("eu-1", "us-1"))
        clients["eu-1"].set(f"celery-task-meta-{here.task_id}", stored("SUCCESS", [RESULT], reasons=REASONS))

        endings = producer.as_completed([there, here], timeout_seconds=0.2)

        assert next(endings).task_id == here.task_id
        with pytest.raises(AnswerLate, match="did not answer"):
            next(endings)


def test_takes_back_where_it_sent(producer, clients, namespace):
    kept, cancelled = producer.send_all([a_spec(a_job_of("eu-1")), a_spec(a_job_of("us-1"))])

    assert producer.cancel(cancelled) is True

    (raw,) = clients["us-1"].lrange(namespace, 0, -1)
    assert json.loads(raw)["headers"]["expires"].startswith("2020-")
    assert task_ids(clients["eu-1"], namespace) == [kept.task_id]


def test_a_task_id_of_another_redis_is_refused_with_the_names(producer):
    with pytest.raises(ValueError, match="names none of eu-1, eu-2, us-1; ask the Redis that it went to"):
        producer.wait("0f6f1f9c-plain", timeout_seconds=1)


def test_urls_come_by_name(redis_server):
    with Producer.open({"eu-1": redis_server.url, "eu-2": f"{redis_server.url[:-1]}1"}) as producer:
        assert list(producer.clients) == ["eu-1", "eu-2"]
    for urls, said in (
        ({}, "no URL"),
        ({"a b": "redis://one"}, "no name; use 1-16 letters"),
        ({"eu-1": "http://:s3cret@one"}, "redis_url of eu-1: not a Redis URL"),
    ):
        with pytest.raises(ValueError, match=said) as refused:
            Producer.open(urls)
        assert "s3cret" not in str(refused.value)
