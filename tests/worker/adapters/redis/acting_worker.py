"""A worker that takes each step of its jobs when it is told to: the product's own steps, and no process."""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

import redis
from celery import Celery

from tasks.delivery import Answer
from tasks.ports import Arrival, Arrived, Claim, Departed, Departure
from tests.bookings import some_steps
from tests.tasks.operations.past import an_outcome
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.redelivery import ConsumerQoS, put_off
from worker.adapters.celery.refusals import Refusals
from worker.adapters.celery.results import ResultWriter
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.history import OutcomeEntries
from worker.adapters.redis.jobs.liveness import beat
from worker.adapters.redis.jobs.steps import RedisSteps
from worker.process.celery_app import build_app
from worker.settings.settings import load

T = TypeVar("T")
NAMESPACE = "slotgen"
LOST_SECONDS = 600
_KEPT = 100_000


@dataclass
class Workshop:
    """What the workers share: one Redis, one event loop, and Celery's app with its channel to the queue."""

    client: redis.Redis
    loop: asyncio.AbstractEventLoop
    batches: RedisBatches
    app: Celery
    channel: Any
    _connection: Any

    @classmethod
    def at(cls, url: str, client: redis.Redis) -> Workshop:
        settings = load(redis_url=url, worker_lost_seconds=LOST_SECONDS)
        letters = RedisDeadLetters(client, NAMESPACE)
        app = build_app(settings, InHand("none"), Refusals(url), letters, lambda _: None)
        connection = app.connection_for_read()
        channel = connection.channel()
        with channel.conn_or_acquire():
            pass  # its one connection for commands is open now, and that of each copy of it
        loop, batches = asyncio.new_event_loop(), RedisBatches(open_async(url))
        return cls(client, loop, batches, app, channel, connection)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.batches.client.aclose())
        self.loop.close()
        self._connection.close()
        self.app.close()


@dataclass(eq=False)
class ActingWorker:
    """One worker. `suspected`: its heartbeats were once too old, so that others may do its work."""

    shop: Workshop
    worker_id: str
    cap_nano_usd: int
    alive: bool = True
    suspected: bool = False
    in_hand: InHand = field(init=False)
    qos: ConsumerQoS = field(init=False)
    steps: RedisSteps = field(init=False)
    _results: ResultWriter = field(init=False)

    def __post_init__(self) -> None:
        self.in_hand = InHand(self.worker_id)
        self.steps = some_steps(
            self.shop.batches,
            NAMESPACE,
            worker_id=self.worker_id,
            worker_lost_seconds=LOST_SECONDS,
            cap_nano_usd=self.cap_nano_usd,
            # One window for all.
            window_seconds=10**9,
            answer_ttl_seconds=86_400,
        )
        self._results = ResultWriter(
            self.shop.app.backend,
            self.shop.batches,
            NAMESPACE,
            self.in_hand,
            OutcomeEntries(),
            _KEPT,
            _KEPT,
            lambda _: None,
            lambda _: None,
        )
        self.connect()

    def connect(self) -> None:
        """Open the connection to the queue, or a new one after it broke."""
        channel = copy.copy(self.shop.channel)
        channel.in_hand = self.in_hand
        self.qos = ConsumerQoS(channel)
        self.qos.register(NAMESPACE)

    def beat(self) -> None:
        beat(self.shop.client, NAMESPACE, self.worker_id, LOST_SECONDS)

    def take(self, places: int, *, is_heard: bool = True) -> dict[str, bytes]:
        """Take up to so many messages, by their tags; a reply that is not heard is Redis's alone."""
        self.qos.prefetch_count = places
        reply = self.shop.client.execute_command(*self.qos.take_words(NAMESPACE, places, by_digest=False))
        if not is_heard:
            self.in_hand.doubt()
            return {}
        taken = {tag.decode(): raw for tag, raw in zip(reply[::2], reply[1::2], strict=True)}
        self.in_hand.specs.update((tag, {}) for tag in taken)
        return taken

    def claim(self, job: str, token: str) -> Claim:
        return self.shop.run(self.steps.claim(job, token))

    def depart(self, departure: Departure) -> Departed:
        return self.shop.run(self.steps.depart(departure))

    def arrive(self, arrival: Arrival) -> Arrived:
        return self.shop.run(self.steps.arrive(arrival))

    def finish(self, tag: str, task_id: str, answer: Answer) -> None:
        self._results.outcomes.add(an_outcome(answer.results[0]["jobId"], task_id=task_id))
        request = SimpleNamespace(
            id=task_id, properties={"delivery_tag": tag}, ignore_result=False, group=None, parent_id=None
        )
        self.shop.run(self._results.finish(request, answer.results, answer))

    def put_off(self, tag: str) -> None:
        self.shop.run(put_off(self.shop.batches, NAMESPACE, tag, int(time.time())))
        self.qos.forget(tag)

    def give_back(self, tag: str) -> None:
        self.qos.restore_by_tag(tag, leftmost=True)

    def look(self) -> None:
        """Bring back what is overdue or forgotten, and what lost workers held."""
        self.qos.restore_visible(interval=1)


def new_token() -> str:
    return uuid.uuid4().hex


def again(work: Callable[[], T], times: int) -> list[T]:
    """Do it, and do it again as after a reply that was lost."""
    return [work() for _ in range(times)]
