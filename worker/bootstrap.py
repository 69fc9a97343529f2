"""Composes one worker process: the only place where ports meet adapters."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks import executor_config
from tasks.brake import Brake
from tasks.generate import Generate
from tasks.generation import Generation
from tasks.intake import Limits
from tasks.prompting import Prompts
from tasks.recording import OutcomeRecording
from tasks.spec import Job, Spec
from telemetry import Exporter, Metrics, Recorder, emit, serve
from worker.adapters.model_loop import ModelLoop
from worker.adapters.openai_model import OpenAIModel, open_client
from worker.adapters.redis_answers import RedisAnswers
from worker.adapters.redis_brake_watch import RedisBrakeWatch
from worker.adapters.redis_budget import NoCap, RedisBudget
from worker.adapters.redis_clients import open_async, open_sync
from worker.adapters.redis_controls import RedisControls
from worker.adapters.redis_dead_letters import RedisDeadLetters
from worker.app import build_app, register_generate
from worker.gatekeeping import IntakeGatekeeper
from worker.health import WorkerHealth
from worker.observation import Observation
from worker.queue_gauges import QueueGauges

if TYPE_CHECKING:
    from celery import Celery

    from tasks.errors import ErrorCode
    from tasks.executor_config import ExecutorConfig
    from tasks.ports import Budget
    from worker.settings import Settings

_log = logging.getLogger("slotgen.worker")
_NANO = 1_000_000_000
# Everything but the dials may take this long in Redis: answers, budget, dead letters.
_STORE_TIMEOUT_SECONDS = 5.0


@dataclass(slots=True)
class Composition:
    """A composed worker process: start what has threads, run the app, stop in the reverse order."""

    app: Celery
    loop: ModelLoop
    watch: RedisBrakeWatch
    exporter: Exporter
    health: WorkerHealth
    model: OpenAIModel | None

    def stop(self) -> None:
        """End every thread and connection of this process."""
        self.watch.stop()
        if self.model:
            self.loop.run(self.model.client.close())
        self.loop.stop()
        self.exporter.close()


@dataclass(frozen=True, slots=True)
class _LoopSwitch:
    """Tells the brake, which lives on the loop, what the watcher's thread has seen."""

    loop: asyncio.AbstractEventLoop
    brake: Brake
    observe: Observation

    def released(self, confirmed_mono: float) -> None:
        self.loop.call_soon_threadsafe(self.brake.release, confirmed_mono)

    def engaged(self, reason: ErrorCode, seen_mono: float) -> None:
        self.loop.call_soon_threadsafe(self.brake.engage, reason, seen_mono)


def compose(settings: Settings) -> Composition:
    """Return a composed and started worker process; call after any fork, for nothing here survives one.

    Raises:
        BadExecutorConfig: the executor config or a prompt cannot be used.
        PortInUse: the metrics port is taken.

    """
    config = executor_config.load(settings.executor_config)
    prompts = Prompts.load(config.prompts)
    metrics = Metrics(version=_version(), executor_version=config.version)
    observe = Observation(metrics, config)
    loop = ModelLoop()
    brake = Brake(settings.brake_grace_seconds, observe.halted)
    ...
