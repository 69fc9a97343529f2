"""Composes what `slotgen try` runs in its own process: the path of a job, its brake and its watch."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from tasks.generate.dial_reader import DialReader
from tasks.generate.generation import Generation
from tasks.generate.spec import Job
from tasks.generate.trial import AT_ONCE, Candidate, Trial, TrialControls
from tasks.limits.brake import Brake
from tasks.limits.rate_limiter import RateLimiter
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.adapters.redis.jobs.kill_switch_watch import KillSwitchWatch
from worker.adapters.redis.jobs.steps import RedisSteps
from worker.halt.brake_bridge import BrakeBridge
from worker.process.background import Background
from worker.process.composition import open_controls, open_model
from worker.settings.proxies import refuse_bad_proxies
from worker.settings.settings import Settings


@asynccontextmanager
async def open_trials(
    settings: Settings, jobs: Sequence[Job], report_bug: Callable[[Job, BaseException], None]
) -> AsyncIterator[Callable[[Candidate], Trial]]:
    """Give what makes the trial of a candidate with `jobs`; all of them share one brake.

    Raises:
        BadSetting: a proxy cannot be used.

    """
    refuse_bad_proxies(settings.openai_base_url)
    worker_id, latch = uuid.uuid4().hex, HaltLatch()
    async with AsyncExitStack() as opened:
        stores = RedisBatches(open_async(settings.redis_url))
        opened.push_async_callback(stores.client.aclose)
        controls = open_controls(settings, lambda *_: None, latch)
        opened.push_async_callback(controls.close)
        model = open_model(settings, lambda *_: None, lambda _: None)
        opened.push_async_callback(model.close)
        brake = Brake(settings.brake_grace_seconds, lambda *_: None, model.abort_connections)
        bridge = BrakeBridge(
            asyncio.get_running_loop(), brake, stores, settings.namespace, worker_id, lambda: None
        )
        watch = KillSwitchWatch(
            settings.redis_url,
            settings.namespace,
            settings.ceilings,
            controls.deadline_seconds,
            bridge,
            latch,
        )
        following = Background("kill_switch_watch", watch.look, every_seconds=0, finish=watch.close)
        following.start()
        opened.push_async_callback(asyncio.to_thread, following.stop)
        dial_reader = DialReader(TrialControls.of(controls, jobs))

        def trial(candidate: Candidate) -> Trial:
            generation = Generation(
                dial_reader=dial_reader,
                model=model,
                steps=RedisSteps.of(stores, settings.namespace, worker_id, settings, candidate.config),
                brake=brake,
                config=candidate.config,
                prompts=candidate.prompts,
                rate_limiter=RateLimiter(settings.longest_cooldown_seconds),
                slots=asyncio.Semaphore(AT_ONCE),
                count_cache=lambda _: None,
                count_denied=lambda: None,
            )
            return Trial(candidate, generation, settings.has_api_key, report_bug)

        yield trial
