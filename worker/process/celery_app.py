"""The Celery app: its configuration, and the one task."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject

from tasks.delivery import Answer
from tasks.errors import Deferred, StoreUnavailable
from tasks.executor_config import ExecutorConfig
from tasks.generate.intake import MessageLimits
from tasks.generate.shielding import to_its_end
from tasks.generate.spec import Spec
from tasks.generate.use_case import Generate
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.message_validation import MessageValidation
from worker.adapters.celery.redelivery import put_off
from worker.adapters.celery.refusals import Refusals
from worker.adapters.celery.results import backend_url
from worker.adapters.celery.transport import transport_name
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import CONSUMER_OPTIONS
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.keys import UNACKED, UNACKED_INDEX, UNACKED_MUTEX
from worker.adapters.redis.message import DEFERRED_SINCE
from worker.settings.redis_url import SCHEME, SentinelUrl, for_celery
from worker.settings.settings import Settings

# A message goes to the dead letters once this many workers have died while holding it.
MAX_DEATHS = 5
TASK_NAME = "slotgen.generate"


def build_app(
    settings: Settings,
    in_hand: InHand,
    refusals: Refusals,
    dead_letters: RedisDeadLetters,
    count_rejected: Callable[[str], None],
) -> Celery:
    """Return an app, not set as Celery's default, which notes in `in_hand` the messages it takes.

    What is not a job spec goes to `dead_letters`, and its reason to `count_rejected`.
    """
    url, sentinel = for_celery(settings.redis_url), {}
    if settings.redis_url.startswith(SCHEME):
        parsed = SentinelUrl.parse(settings.redis_url)
        timeouts = {"socket_timeout": 5, "socket_connect_timeout": 5}
        sentinel = {"master_name": parsed.service, "sentinel_kwargs": timeouts | parsed.sentinel_credentials}
    app = Celery("slotgen", broker=url, backend=backend_url(url), set_as_current=False)
    limits = MessageLimits(max_message_bytes=settings.max_message_bytes)
    validator = MessageValidation(limits, dead_letters, app, count_rejected)
    ours = {"validator": validator, "refusals": refusals, "in_hand": in_hand}
    app.conf.update(_configuration(settings, ours, sentinel))
    return app


def _configuration(settings: Settings, ours: dict[str, Any], sentinel: dict[str, Any]) -> dict[str, Any]:
    namespace = settings.namespace
    return {
        "task_default_queue": namespace,
        "task_serializer": "json",
        "result_serializer": "json",
        "result_expires": settings.result_ttl_seconds,
        "accept_content": ["json"],
        # The message leaves the queue for good only after the results are stored.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # What Celery itself stores waits until Redis is back, as ResultWriter does with the jobs' results.
        "result_backend_always_retry": True,
        "result_backend_base_sleep_between_retries_ms": 50,
        "result_backend_max_sleep_between_retries_ms": 1000,
        # One message for each place, with none in reserve.
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # With remote control, anyone who can write to Redis could shut workers down behind the operator's
        # back.
        "worker_enable_remote_control": False,
        "broker_connection_retry_on_startup": True,
        # A refusal by Redis is no reason to end: the consumer starts again, and Redis may accept it then.
        "broker_channel_error_retry": True,
        "broker_transport": transport_name(settings.redis_url),
        "broker_transport_options": {
            "visibility_timeout": settings.visibility_timeout_seconds,
            # Three heartbeats must be missing before the others count a worker as lost.
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
        | ours
        | CONSUMER_OPTIONS
        | sentinel,
        "result_backend_transport_options": {"socket_timeout": 10, "socket_connect_timeout": 5} | sentinel,
        "redis_socket_timeout": 10,
        "redis_socket_connect_timeout": 5,
    }


@dataclass(frozen=True, slots=True)
class GenerateTask:
    """The task `slotgen.generate`: a spec in, its results out.

    A spec that the server has no time for goes back to the end of the queue; once that first happened
    `max_age_seconds` (of the config) ago, it is answered whatever the server says.
    `traced(request, work)` awaits `work`.
    """

    generate: Generate
    config: ExecutorConfig
    redis: RedisBatches
    namespace: str
    traced: Callable[[Any, Coroutine[Any, Any, Answer]], Awaitable[Answer]]

    def attach(self, app: Celery) -> None:
        """Register the task, a coroutine function for `JobLoopPool`."""

        # Typing is off, since the arguments were checked before the message was delivered.
        @app.task(name=TASK_NAME, shared=False, typing=False)
        async def generate(request: Any, spec: dict[str, Any]) -> Answer:
            return await self.traced(request, self.answer(request, spec))

    async def answer(self, request: Any, document: dict[str, Any]) -> Answer:
        """Return the answer to the spec `document`; `request` is Celery's Context.

        Raises Ignore for a spec that went back.
        """
        now = int(time.time())
        # A producer may have written any time at all, and another worker's clock may be ahead.
        since = min(request.get(DEFERRED_SINCE) or now, now)
        may_defer = now - since < self.config.max_age_seconds
        spec = Spec.of(document)
        try:
            outcomes = await self.generate(spec, request.id, may_defer=may_defer)
        except Deferred:
            await to_its_end(self._put_off(request, since), concludes=True)
            # No result is stored: the message at the end of the queue will have one.
            raise Ignore from None
        return Answer.of(spec, outcomes, self.config.version)

    async def _put_off(self, request: Any, since: int) -> None:
        try:
            await put_off(self.redis, self.namespace, request.properties["delivery_tag"], since)
        except StoreUnavailable:
            # The message that we hold goes back instead.
            raise Reject("the queue takes nothing", requeue=True) from None
