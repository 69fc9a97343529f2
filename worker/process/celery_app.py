"""The Celery app: its configuration, and the one task."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

from celery import Celery
from celery.exceptions import Ignore

from tasks.delivery import Answer
from tasks.errors import Deferred
from worker.adapters.celery.message import DEFERRED_SINCE
from worker.adapters.celery.pool import completed
from worker.adapters.celery.results import ResultWriter, backend_url
from worker.adapters.celery.transport import MessageValidator, transport_name
from worker.adapters.redis.clients import CONSUMER_OPTIONS
from worker.adapters.redis.keys import UNACKED, UNACKED_INDEX, UNACKED_MUTEX
from worker.settings.redis_url import SCHEME, SentinelUrl
from worker.settings.settings import Settings

# A message that this many workers have died with goes to the dead letters.
MAX_DEATHS = 5
TASK_NAME = "slotgen.generate"


def build_app(settings: Settings, validator: MessageValidator, worker_id: str) -> Celery:
    """Return an app that is nobody's default; `worker_id` is the name of its heartbeats."""
    url = celery_url(settings.redis_url)
    app = Celery("slotgen", broker=url, backend=backend_url(url), set_as_current=False)
    app.conf.update(_configuration(settings, validator, worker_id))
    return app


def celery_url(redis_url: str) -> str:
    """Return the URL in the words of Celery and kombu, which call a Unix socket `redis+socket`."""
    if redis_url.startswith(SCHEME):
        return SentinelUrl.parse(redis_url).as_celery()
    return redis_url.replace("unix://", "redis+socket://", 1)


def _sentinel_options(settings: Settings) -> dict[str, Any]:
    """Return what kombu and Celery want to know of the Sentinels beside their addresses."""
    if not settings.redis_url.startswith(SCHEME):
        return {}
    url = SentinelUrl.parse(settings.redis_url)
    timeouts = {"socket_timeout": 5, "socket_connect_timeout": 5}
    return {"master_name": url.service, "sentinel_kwargs": timeouts | url.sentinel_credentials}


def _configuration(settings: Settings, validator: MessageValidator, worker_id: str) -> dict[str, Any]:
    namespace, sentinel = settings.namespace, _sentinel_options(settings)
    return {
        "task_default_queue": namespace,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        # The message leaves the queue for good only after the results are stored.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # What Celery itself stores waits for Redis to come back, as the results of jobs do by ResultWriter.
        "result_backend_always_retry": True,
        "result_backend_base_sleep_between_retries_ms": 50,
        "result_backend_max_sleep_between_retries_ms": 1000,
        # A message for each place, no hoard.
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # Remote control would let anyone who can write to Redis shut workers down behind the operator's back.
        "worker_enable_remote_control": False,
        "broker_connection_retry_on_startup": True,
        "broker_transport": transport_name(settings.redis_url),
        "broker_transport_options": {
            "gatekeeper": validator,
            "worker_id": worker_id,
            "visibility_timeout": settings.visibility_timeout_seconds,
            # A worker gives a sign of life three times before the others count it as lost.
            "worker_lost_seconds": settings.worker_lost_seconds,
            "unacked_restore_interval": settings.worker_lost_seconds / 3,
            "unacked_restore_throttle": 1,
            "max_deaths": MAX_DEATHS,
            "unacked_key": UNACKED(namespace),
            "unacked_index_key": UNACKED_INDEX(namespace),
            "unacked_mutex_key": UNACKED_MUTEX(namespace),
            # One key for each queue: roles, autoscalers and plain LPUSH see the same list.
            "priority_steps": [0],
        }
        | CONSUMER_OPTIONS
        | sentinel,
        "result_backend_transport_options": {"socket_timeout": 10, "socket_connect_timeout": 5} | sentinel,
        "redis_socket_timeout": 10,
        "redis_socket_connect_timeout": 5,
    }


class Respond(Protocol):
    """The use case, as the task calls it."""

    async def __call__(self, document: dict[str, Any], task_id: str, *, may_defer: bool) -> Answer:
        """Return the answer. Raises PutOff where it may."""
        ...


class Requeue(Protocol):
    """Puts a spec that has to wait back at the queue's end."""

    async def __call__(self, spec: dict[str, Any], task_id: str, since: int) -> None:
        """Return once it is there, marked as put off since then (epoch seconds)."""
        ...


def register_generate(app: Celery, respond: Respond, requeue: Requeue, max_age_seconds: float) -> None:
    """Attach the task `slotgen.generate`, a coroutine function for `JobLoopPool`; `request` is Celery's
    Context.

    A spec that was put off for `max_age_seconds` is answered whatever the server says.
    """

    # Typing is off: the gatekeeper has counted the arguments, before the message was delivered.
    @app.task(name=TASK_NAME, shared=False, typing=False)
    async def generate(request: Any, spec: dict[str, Any]) -> list[dict[str, Any]]:
        now = int(time.time())
        since = request.get(DEFERRED_SINCE) or now
        try:
            answer = await respond(spec, request.id, may_defer=now - since < max_age_seconds)
        except Deferred:
            await completed(requeue(spec, request.id, since))
            # Acknowledged without a result: the copy at the queue's end will have one.
            raise Ignore from None
        # The result backend puts them beside the results.
        request.slotgen_reasons = answer.reasons
        return answer.results


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """Stores how many of a task's jobs are done, as Celery's custom state PROGRESS."""

    results: ResultWriter

    async def __call__(self, task_id: str, done: int, total: int) -> None:
        """Replace what was told before; a success, once stored, stays."""
        await self.results.store(task_id, {"version": "v1", "done": done, "total": total}, "PROGRESS")
