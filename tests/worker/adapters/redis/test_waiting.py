"""The lists of one queue, the lower priorities after its own."""

from __future__ import annotations

import pytest
from celery import Celery

from tasks.operations.overview import StrayList
from tests.builders import a_spec
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.jobs.queue_age import RedisQueueAge
from worker.adapters.redis.waiting import depth, lists
from worker.client import Producer
from worker.client.producer import Sent

STEPS = [{}, {"priority_steps": list(range(10))}, {"priority_steps": list(range(10)), "sep": ":"}]


@pytest.mark.parametrize("options", STEPS)
@pytest.mark.parametrize("priority", range(10))
def test_wherever_kombu_puts_a_priority_it_is_counted(
    redis_server, redis_client, namespace, priority, options
):
    with Celery(broker=redis_server.url, set_as_current=False) as app:
        app.conf.broker_transport_options = options
        app.send_task("slotgen.generate", args=[a_spec()], queue=namespace, priority=priority)

    assert depth(redis_client, namespace) == 1
    assert RedisFleet(redis_client, namespace).queue_depth() == 1
    with Producer.open(redis_server.url, namespace=namespace) as producer:
        assert producer.queue_depth() == 1


def test_the_age_of_the_oldest_counts_every_list(redis_client, namespace):
    age = RedisQueueAge(redis_client, namespace)
    redis_client.lpush(lists(namespace)[5], "one")
    assert age.oldest_seconds() is None

    age.note()

    assert age.oldest_seconds() >= 0


@pytest.mark.parametrize("place", range(19))
def test_a_message_is_cancelled_on_whichever_list_it_waits(redis_server, redis_client, namespace, place):
    with Producer.open(redis_server.url, namespace=namespace) as producer:
        sent = producer.prepare(a_spec())
        waiting = lists(namespace)[place]
        redis_client.lpush(waiting, "another", sent.message, sent.message)

        assert producer.cancel(sent)
        assert not producer.cancel(Sent(sent.task_id, sent.message + " "))

    # What tells those who wait for it is the first to be taken.
    assert redis_client.lrem(waiting, 0, "another") == 1
    assert redis_client.llen(namespace) == depth(redis_client, namespace) == 1


@pytest.mark.parametrize("priority", [0, 3, 9])
@pytest.mark.parametrize("protocol", [1, 2])
def test_what_was_sent_without_a_queue_is_found(redis_server, redis_client, priority, protocol):
    with Celery(broker=redis_server.url, set_as_current=False) as app:
        app.conf.task_protocol = protocol
        app.send_task("slotgen.generate", args=[a_spec()], priority=priority)
        app.send_task("slotgen.generate", args=[{}], priority=priority)
        (found,) = RedisFleet(redis_client, "slotgen").strays()
        app.send_task("billing.invoice", args=["not ours"], priority=priority)
        (shared,) = RedisFleet(redis_client, "slotgen").strays()

    suffix = f"\x06\x16{priority}" if priority else ""
    assert found == StrayList(f"celery{suffix}", 2, shared=False)
    assert shared == StrayList(f"celery{suffix}", 3, shared=True)
    redis_client.delete(found.name)


def test_what_was_sent_to_a_queue_of_another_name_is_found(redis_server, redis_client, namespace):
    wrong = f"{namespace}-typo"
    with Celery(broker=redis_server.url, set_as_current=False) as app:
        app.send_task("slotgen.generate", args=[a_spec()], queue=wrong, priority=3)
        app.send_task("billing.invoice", args=["not ours"], queue=f"{namespace}-billing")

    found = [each for each in RedisFleet(redis_client, "slotgen").strays() if namespace in each.name]
    redis_client.set(f"{wrong}:kill", "true")
    # Now it is the queue of another fleet.
    other = [each for each in RedisFleet(redis_client, "slotgen").strays() if namespace in each.name]

    assert found == [StrayList(f"{wrong}\x06\x163", 1, shared=False)]
    assert other == []


def test_another_applications_queue_is_none_of_ours(redis_server, redis_client):
    with Celery(broker=redis_server.url, set_as_current=False) as app:
        app.send_task("billing.invoice", args=["not ours"])
    redis_client.lpush("celery", "not even JSON", "[]", '{"body": 5}')

    assert RedisFleet(redis_client, "slotgen").strays() == []
    redis_client.delete("celery")
