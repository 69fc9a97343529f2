"""The producer's side of the queue: specs are checked by the worker's own rules before they are sent."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import redis

from tasks.delivery import Delivery
from tasks.errors import InvalidMessage, StoreUnavailable
from tasks.generate.intake import MessageLimits, Rejected, inspect
from tasks.generate.spec import refuse_unknown_types
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.outbox import RedisOutbox
from worker.adapters.redis.message import raw_message
from worker.client.results import Progress, TaskResult, read
from worker.client.shards import shard_in, shard_of, with_shard
from worker.client.trace_headers import trace_headers
from worker.settings.redis_url import REDIS_URL_FORMS, check_name, check_url

# In the past by any clock: the worker that takes such a message revokes it.
_EXPIRED = datetime(2020, 1, 1, tzinfo=UTC)
# Polling costs Redis a few microseconds. An answer is noticed late by less than a fifth of the time it took.
_FIRST_LOOK_SECONDS = 0.005
_LAST_LOOK_SECONDS = 0.25
_SLOWER = 1.2
# Hundreds of tasks are polled together, so less often: Redis must have time for the workers.
_LOOK_PER_TASK_SECONDS = 0.0001
_PUSH_AGAIN_SECONDS = (0.1, 0.5)
_LONGEST_EXPIRY_SECONDS = 31_536_000.0


class AnswerLate(TimeoutError):  # noqa: N818 - says what happened
    """No answer came in time; it may still come, and `wait` can be called again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent; `task_id` is all that another process needs to wait for it."""

    task_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Producer:
    """Sends specs and collects their answers. Threads may share one.

    A spec sent twice is answered twice and paid for once: workers recognise a job by its content.

    `clients` are the Redis servers by name; a single one has the name "". With several, a spec goes whole to
    the server of its first job, and its task id begins with that server's name.
    """

    clients: Mapping[str, redis.Redis]
    namespace: str = "slotgen"
    limits: MessageLimits = field(default_factory=MessageLimits)

    @classmethod
    def open(
        cls,
        redis_url: str | Mapping[str, str],
        *,
        namespace: str = "slotgen",
        max_message_bytes: int = 262_144,
    ) -> Self:
        """Return a producer for the queue `namespace`; `max_message_bytes` as the workers' setting.

        Connects with its first command. `with Producer.open(…) as producer` closes it. Raises ValueError when
        `redis_url` is no URL that a worker could use. Several URLs come by name: the name chooses the jobs,
        so that it stays when an address changes.
        """
        urls = {"": redis_url} if isinstance(redis_url, str) else redis_url
        if not urls:
            raise ValueError("redis_url: no URL; name at least one Redis")
        for name, url in urls.items():
            try:
                check_url(url)
            except ValueError as error:
                raise ValueError(f"redis_url{name and f' of {name}'}: {error}; {REDIS_URL_FORMS}") from None
            if urls is redis_url:
                check_name(name)
        clients = {name: open_sync(url) for name, url in urls.items()}
        return cls(clients, namespace, MessageLimits(max_message_bytes=max_message_bytes))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.clients.values():
            each.close()

    def prepare(
        self, spec: Any, *, expires_seconds: float | None = None, traceparent: str | None = None
    ) -> Sent:
        """Return `spec` as the message that `push` sends. Touches nothing.

        If it has not been started after `expires_seconds` (above 0, by the worker's clock), it is revoked.
        The worker's spans join the trace of `traceparent`, or of the active OpenTelemetry span.

        Raises:
            InvalidMessage: the text that the worker would answer, or which output type is none.
            ValueError: `expires_seconds` is out of its range, or `traceparent` is none.

        """
        trace = trace_headers(traceparent)
        expires = None if expires_seconds is None else _expiry(expires_seconds)
        try:
            task_id = with_shard(self._shard_of(spec), str(uuid.uuid4()))
            message = raw_message(spec, task_id, self.namespace, expires=expires, more_headers=trace)
            refuse_unknown_types(inspect(message.encode(), self.limits).spec)
        except Rejected as rejected:
            raise InvalidMessage(rejected.problem) from None
        except UnicodeEncodeError:
            raise InvalidMessage(
                "the spec has half a surrogate pair; send whole Unicode characters"
            ) from None
        except (TypeError, ValueError, RecursionError):
            raise InvalidMessage(
                "the spec is not JSON: use dict, list, str, int, float, bool and None"
            ) from None
        return Sent(task_id, message)

    def push(self, prepared: Sequence[Sent]) -> int:
        """Send all of `prepared` in one command for each Redis, which takes all of its own, or none.

        Return how many messages wait on these queues now.

        Raises:
            StoreUnavailable: Redis did not answer; they may or may not have been sent. Sending again is safe.

        """
        if not prepared:
            return self.queue_depth()
        messages = {each.task_id: each.message for each in prepared}
        by_shard = self._by_shard(each.task_id for each in prepared)
        return sum(
            self._outbox(name).push([messages[each] for each in ids]) for name, ids in by_shard.items()
        )

    def send(
        self, spec: Any, *, expires_seconds: float | None = None, traceparent: str | None = None
    ) -> Sent:
        """Check `spec` and send it. Raises InvalidMessage and StoreUnavailable, see `prepare` and `push`."""
        sent = self.prepare(spec, expires_seconds=expires_seconds, traceparent=traceparent)
        self.push([sent])
        return sent

    def send_all(
        self, specs: Iterable[Any], *, expires_seconds: float | None = None, traceparent: str | None = None
    ) -> list[Sent]:
        """Check all of `specs`, then send all of them; if one is invalid, none is sent."""
        prepared = [
            self.prepare(each, expires_seconds=expires_seconds, traceparent=traceparent) for each in specs
        ]
        self.push(prepared)
        return prepared

    def wait(self, task: Sent | str, *, timeout_seconds: float) -> list[Delivery]:
        """Return the deliveries of one task, in the order of its jobs.

        Raises:
            AnswerLate: none came in `timeout_seconds`.
            InvalidMessage, TaskFailed, TaskRevoked: there will be none.

        """
        (result,) = self.as_completed([task], timeout_seconds=timeout_seconds)
        return result.result()

    def as_completed(self, tasks: Iterable[Sent | str], *, timeout_seconds: float) -> Iterator[TaskResult]:
        """Yield the ending of each task as it comes.

        While Redis is away, it keeps waiting as for an answer.

        Raises:
            AnswerLate: some had none `timeout_seconds` after the first look.

        """
        left = list(dict.fromkeys(_task_id(each) for each in tasks))
        deadline = time.monotonic() + timeout_seconds
        pause = _FIRST_LOOK_SECONDS
        while left:
            found: list[TaskResult] = []
            problem = ""
            # One Redis that is away keeps nothing back of what another has.
            for ids in self._by_shard(left).values():
                try:
                    found += self.results(ids)
                except StoreUnavailable as error:
                    problem = f"; {error}"
            yield from found
            ended = {each.task_id for each in found}
            left = [each for each in left if each not in ended]
            remaining = deadline - time.monotonic()
            if left and remaining <= 0:
                raise AnswerLate(
                    f"no answer in {timeout_seconds:g} s for {len(left)} of the tasks, the first is {left[0]}"
                    f"; wait again, or see `slotgen status` for workers and queue{problem}"
                )
            pause = _FIRST_LOOK_SECONDS if found else min(pause * _SLOWER, _LAST_LOOK_SECONDS)
            pause = max(pause, min(len(left) * _LOOK_PER_TASK_SECONDS, _LAST_LOOK_SECONDS))
            if left:
                time.sleep(min(pause, max(remaining, 0)))

    def results(self, task_ids: Sequence[str]) -> list[TaskResult]:
        """Return the tasks that have ended, in order. Raises StoreUnavailable."""
        return [each for each in self._states(task_ids) if isinstance(each, TaskResult)]

    def progress(self, task: Sent | str) -> Progress | None:
        """Return how far a running spec of several jobs has got, None if that is not known yet.

        Raises StoreUnavailable.
        """
        (state,) = self._states([_task_id(task)])
        return state if isinstance(state, Progress) else None

    def _states(self, task_ids: Sequence[str]) -> list[TaskResult | Progress | None]:
        found = {
            each: read(each, stored)
            for name, ids in self._by_shard(task_ids).items()
            for each, stored in zip(ids, self._outbox(name).stored(ids), strict=True)
        }
        return [found[each] for each in task_ids]

    def cancel(self, sent: Sent) -> bool:
        """Cancel what no worker has started, of any priority; False if one has, and the answer will come.

        Celery's `revoke` cannot do this: workers do not listen for remote control. Anyone waiting for the
        task hears of it when its turn would have come: `TaskRevoked` here, `TaskRevokedError` in Celery.

        Raises:
            StoreUnavailable: Redis did not answer; whether it was cancelled is unknown, unless the text
                says so.

        """
        # A producer may not write results; the worker that takes this does so, without reading the spec.
        revoked = json.loads(sent.message)
        revoked["headers"]["expires"] = _EXPIRED.isoformat()
        outbox = self._outbox(self._shard_in(sent.task_id))
        if not outbox.take_back(sent.message):
            return False
        for pause_seconds in (*_PUSH_AGAIN_SECONDS, None):
            try:
                outbox.push([json.dumps(revoked)])
                break
            except StoreUnavailable as error:
                if pause_seconds is None:
                    raise StoreUnavailable(f"{error}; cancelled, but whoever waits is not told") from None
                time.sleep(pause_seconds)
        return True

    def queue_depth(self) -> int:
        """Return how many messages wait on the queue. Raises StoreUnavailable."""
        return sum(self._outbox(name).waiting() for name in self.clients)

    def _shard_of(self, spec: Any) -> str:
        try:
            job_id = str(spec["jobs"][0]["jobId"])
        except (TypeError, LookupError):
            job_id = ""  # no spec, as it will turn out
        return shard_of(job_id, self.clients)

    def _shard_in(self, task_id: str) -> str:
        return shard_in(task_id, self.clients)

    def _by_shard(self, task_ids: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in task_ids:
            found.setdefault(self._shard_in(each), []).append(each)
        return found

    def _outbox(self, name: str) -> RedisOutbox:
        return RedisOutbox(self.clients[name], self.namespace)


def _task_id(task: Sent | str) -> str:
    return task if isinstance(task, str) else task.task_id


def _expiry(seconds: float) -> datetime:
    if not 0 < seconds <= _LONGEST_EXPIRY_SECONDS:
        raise ValueError(
            f"expires_seconds is {seconds}; set seconds above 0, at most a year, or leave it out"
        )
    return datetime.now(UTC) + timedelta(seconds=seconds)
