"""Composes one worker process: the one place where ports are given their adapters."""

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import cast

from celery import Celery

from gates import Controls
from tasks import executor_config, plain_text
from tasks.errors import ErrorCode
from tasks.executor_config import ExecutorConfig
from tasks.generate.dial_reader import DialReader
from tasks.generate.generation import Generation
from tasks.generate.prompting import Prompts
from tasks.generate.recording import OutcomeRecording
from tasks.generate.spec import MAX_JOBS
from tasks.generate.use_case import Generate
from tasks.limits.brake import Brake
from tasks.limits.guard import OutcomeMonitor
from tasks.limits.rate_limiter import RateLimiter
from tasks.operations.model_listing import ModelListing
from tasks.operations.pricing import price_doubts
from tasks.ports import Model, ModelRequest, TokenUsage
from telemetry import Metrics, Recorder, application, count_dropped_lines, emit, listen, log_is_alive
from worker.adapters.celery.in_hand import InHand
from worker.adapters.celery.job_loop import JobLoop
from worker.adapters.celery.pool import JobLoopPool
from worker.adapters.celery.refusals import Refusals
from worker.adapters.celery.results import PatientBackend, ResultWriter
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async, open_sync
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.cut import count_cuts
from worker.adapters.redis.jobs.controls import RedisControls
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.halt_latch import HaltLatch
from worker.adapters.redis.jobs.heartbeat import Heartbeat
from worker.adapters.redis.jobs.history import OutcomeEntries
from worker.adapters.redis.jobs.kill_switch_watch import KillSwitchWatch
from worker.adapters.redis.jobs.steps import RedisSteps
from worker.halt.brake_bridge import BrakeBridge
from worker.metrics.fleet import FleetGauges
from worker.metrics.model_watch import ModelWatch
from worker.metrics.worker_info import WorkerInfoSource
from worker.metrics.worker_metrics import WorkerMetrics
from worker.metrics.zero_series import create_zero_series, label_words
from worker.process.background import Background
from worker.process.celery_app import GenerateTask, build_app
from worker.process.freeze_imports import freeze_imports
from worker.process.health import WorkerHealth
from worker.process.lazy_model import LazyModel
from worker.process.tracing import Tracing, open_tracing
from worker.settings.proxies import refuse_bad_proxies
from worker.settings.redis_url import address
from worker.settings.settings import BadSetting, Settings

_log = logging.getLogger("slotgen.worker")
# Prometheus asks every 15 s by default.
_SAMPLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Composition:
    """A composed and running worker process.

    `open_model_soon(after_seconds)` returns at once; the model is opened after that time, or once a job needs
    it. `return_unfinished(grace_seconds)`, which a signal handler may call, cancels what is still in flight
    after that time; each message goes back to the queue as its job ends. `close` ends every thread and
    connection of this process, the last one first.
    """

    app: Celery
    pool: type[JobLoopPool]
    health: WorkerHealth
    metrics_port: int
    open_model_soon: Callable[[float], None]
    return_unfinished: Callable[[float], None]
    close: Callable[[], None]


def compose(settings: Settings) -> Composition:
    """Return a running worker process without its consumer. Call it after any fork; nothing survives one.

    Raises:
        BadExecutorConfig: the executor config or a prompt cannot be used.
        BadSetting: the visibility timeout is shorter than the longest spec can take, a proxy cannot be
            used, or there is an OTLP endpoint, and nothing installed that could send to it.
        PortUnavailable: the metrics port is taken.

    """
    config = executor_config.load(settings.executor_config)
    _refuse_short_visibility(settings, config)
    refuse_bad_proxies(settings.openai_base_url)
    prompts = Prompts.load(config.prompts)
    for doubt in price_doubts(config, settings.openai_base_url):
        emit(
            _log,
            logging.WARNING,
            "price_doubtful",
            setting=doubt.setting,
            value=doubt.value,
            remedy=doubt.remedy,
        )
    with ExitStack() as opened:
        return _composed(settings, config, prompts, opened)


def _composed(settings: Settings, config: ExecutorConfig, prompts: Prompts, opened: ExitStack) -> Composition:
    namespace, worker_id = settings.namespace, uuid.uuid4().hex
    metrics = _metrics(settings, config)
    tracing = open_tracing(settings, worker_id, metrics)
    observe = WorkerMetrics(metrics)
    loop = JobLoop()
    latch = HaltLatch()
    controls = open_controls(settings, observe.controls_read, latch)
    refusals = Refusals(address(settings.redis_url))
    health = WorkerHealth(loop, controls, refusals)
    pages = application(metrics.registry, health.alive, health.ready)
    exporter = listen(pages, host=settings.metrics_host, port=settings.metrics_port)
    opened.callback(exporter.close)
    loop.start()
    opened.callback(loop.stop)
    client = open_sync(settings.redis_url)
    stores = RedisBatches(open_async(settings.redis_url))
    opened.callback(lambda: loop.run(stores.client.aclose()))
    opened.callback(lambda: loop.run(controls.close()))
    model = LazyModel(loop.loop, partial(_traced_model, settings, observe, tracing))
    opened.callback(lambda: loop.run(model.close()))
    brake = Brake(settings.brake_grace_seconds, observe.halted, model.abort_connections)
    metrics.gauge("slotgen_brake_unverified").set_function(lambda: brake.reason is ErrorCode.KILL_UNVERIFIED)
    dial_reader = DialReader(controls)
    generation = Generation(
        dial_reader=dial_reader,
        model=model,
        steps=RedisSteps.of(stores, namespace, worker_id, settings, config),
        brake=brake,
        config=config,
        prompts=prompts,
        rate_limiter=RateLimiter(settings.longest_cooldown_seconds),
        slots=asyncio.Semaphore(settings.concurrency),
        count_cache=observe.cache_asked,
        count_denied=metrics.counter("slotgen_budget_denied_total").inc,
    )
    outcomes, in_hand = OutcomeEntries(), InHand(worker_id)
    dead_letters = RedisDeadLetters.of(client, settings, observe.dead_letters_dropped)
    account = RedisAccount.of(client, settings)
    gauges = FleetGauges(metrics, client, namespace, dead_letters, account)
    app = build_app(settings, in_hand, refusals, dead_letters, observe.message_rejected)
    results = ResultWriter(
        cast("PatientBackend", app.backend),
        stores,
        namespace,
        in_hand,
        outcomes,
        settings.history_outcomes,
        settings.stream_results,
        metrics.counter("slotgen_history_dropped_total").inc,
        metrics.counter("slotgen_results_trimmed_total").inc,
    )
    generate = Generate(
        dial_reader=dial_reader,
        generation=generation,
        has_api_key=settings.has_api_key,
        count_decision=observe.decided,
        record=OutcomeRecording(Recorder(metrics), config.version, worker_id, outcomes.add),
        report_bug=observe.job_broke,
        monitor=OutcomeMonitor(config.guard, observe.guard_breached),
        tell_progress=results.store_progress,
    )
    GenerateTask(generate, config, stores, namespace, tracing.traced).attach(app)
    beat_seconds = settings.worker_lost_seconds / 3
    model_watch = ModelWatch(
        config.model,
        lambda: asyncio.run_coroutine_threadsafe(_list_model(settings, config.model, model), loop.loop),
        metrics,
    )
    info = WorkerInfoSource(
        worker_id,
        config.version,
        settings.has_api_key,
        brake,
        observe,
        latch,
        model_watch,
        beat_seconds,
        settings.budget_nano_usd,
        settings.budget_window_seconds,
    ).info
    heartbeat = Heartbeat(client, namespace, worker_id, settings.worker_lost_seconds, info)
    dials = RedisDials(client, namespace)

    look = _FleetLook(dials, controls, heartbeat, gauges, observe, model_watch)
    look.changed.set()  # whatever it was before
    # The change may be a halt: while hundreds of calls are being closed, the record can wait. Each attempt
    # that Redis refuses reads a policy of up to 16 MiB.
    fleet = Background("fleet", look, _SAMPLE_SECONDS, settle_seconds=0.1, away_seconds=5)

    def dials_changed() -> None:
        look.changed.set()
        fleet.wake()

    bridge = BrakeBridge(loop.loop, brake, stores, namespace, worker_id, dials_changed)
    watch = KillSwitchWatch(
        settings.redis_url, namespace, settings.ceilings, controls.deadline_seconds, bridge, latch
    )

    background = (
        *tracing.background,
        Background("heartbeat", heartbeat.beat, beat_seconds, finish=heartbeat.leave),
        fleet,
        Background("kill_switch_watch", refusals.noticing(watch.look), every_seconds=0, finish=watch.close),
    )
    for thread in background:
        thread.start()
        opened.callback(thread.stop)
    health.threads = {
        "log": log_is_alive,
        "exporter": exporter.is_alive,
        **{each.name: each.is_alive for each in background},
    }
    for name, is_alive in health.threads.items():
        metrics.gauge("slotgen_background_alive").labels(name).set_function(is_alive)
    return Composition(
        app=app,
        pool=JobLoopPool.on(loop, results),
        health=health,
        metrics_port=exporter.port,
        open_model_soon=model.open_soon,
        return_unfinished=loop.cancel_jobs_after,
        close=opened.pop_all().close,
    )


@dataclass(frozen=True, slots=True)
class _FleetLook:
    """Records once which dials have `changed`; reads the gauges and asks for the model every time."""

    dials: RedisDials
    controls: RedisControls
    heartbeat: Heartbeat
    gauges: FleetGauges
    observe: WorkerMetrics
    model: ModelWatch
    changed: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        try:
            if self.model.step():
                self.heartbeat.beat()
            if self.changed.is_set():
                self.changed.clear()
                self._look_at_dials()
        except BaseException:
            self.changed.set()
            raise
        finally:
            # Redis may refuse a record for long, but still gives the figures.
            self.gauges.sample()

    def _look_at_dials(self) -> None:
        self.dials.notice()  # notes what raw commands have changed
        self.controls.read()  # sets the gauges of the dials
        self.observe.changes_recorded(self.dials.last_changes())
        self.heartbeat.beat()


def _metrics(settings: Settings, config: ExecutorConfig) -> Metrics:
    rules = [rule.name for rule in plain_text.RULES]
    metrics = Metrics(version=version("slotgen"), executor_version=config.version, words=label_words(rules))
    create_zero_series(metrics, config.model, rules)
    metrics.gauge("slotgen_concurrency").set(settings.concurrency)
    count_dropped_lines(metrics.counter("slotgen_log_lines_dropped_total").inc)
    count_cuts(metrics.counter("slotgen_cut_names_total").inc)
    return metrics


def _refuse_short_visibility(settings: Settings, config: ExecutorConfig) -> None:
    # A spec's jobs wait for slots; at worst there are as many specs as slots, all of the largest size and
    # slow.
    longest_seconds = MAX_JOBS * config.job_deadline_seconds
    if settings.visibility_timeout_seconds <= longest_seconds:
        raise BadSetting(
            f"SLOTGEN_VISIBILITY_TIMEOUT_SECONDS is {settings.visibility_timeout_seconds}; set more than "
            f"{longest_seconds:.0f}, for a spec of {MAX_JOBS} jobs may take {MAX_JOBS} times the "
            f"jobDeadlineSeconds of {config.job_deadline_seconds:g}, or lower those"
        )


def open_controls(
    settings: Settings, observe: Callable[[Controls, float], None], latch: HaltLatch
) -> RedisControls:
    """Return the dials of a process; `observe` gets every read, with its seconds."""
    seconds = settings.control_read_timeout_ms / 1000
    client = open_sync(settings.redis_url, timeout_seconds=seconds)
    return RedisControls(
        client,
        settings.namespace,
        settings.ceilings,
        seconds,
        observe,
        latch,
        loop_client=open_async(settings.redis_url, timeout_seconds=seconds),
    )


async def _list_model(settings: Settings, name: str, model: LazyModel) -> ModelListing:
    if not settings.openai_api_key:
        return ModelListing(name, unknown="there is no API key to ask with")
    await model.ready()
    from worker.adapters.openai.models import list_model  # noqa: PLC0415 - with the SDK, which is there by now

    return await list_model(settings.openai_api_key.get_secret_value(), settings.openai_base_url, name)


def _traced_model(settings: Settings, observe: WorkerMetrics, tracing: Tracing) -> Model:
    in_flight = observe.metrics.gauge("slotgen_inflight_requests").inc
    return tracing.model(open_model(settings, observe.requested, in_flight))


@freeze_imports()
def open_model(
    settings: Settings,
    count_request: Callable[[str, ModelRequest, TokenUsage | None, float], None],
    in_flight: Callable[[int], None],
) -> Model:
    """Return the model of a process; `count_request` and `in_flight` are those of OpenAIModel."""
    from worker.adapters.openai.model import (  # noqa: PLC0415 - 0.4-2 s that only a model's request needs
        OpenAIModel,
        open_client,
    )

    # Without a key no job gets as far as this client; the SDK just needs some string.
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    client = open_client(key or "none", settings.openai_base_url, settings.concurrency)
    return OpenAIModel(client, count_request, in_flight)
