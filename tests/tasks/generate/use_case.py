"""The use case composed of fakes, for tests of `tasks`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tasks import executor_config
from tasks.generate.dial_reader import DialReader
from tasks.generate.generation import Generation
from tasks.generate.prompting import Prompts
from tasks.generate.recording import Entry
from tasks.generate.spec import Spec
from tasks.generate.use_case import Generate
from tasks.limits.brake import Brake
from tasks.limits.guard import OutcomeMonitor
from tasks.limits.rate_limiter import RateLimiter
from tests.builders import controls
from tests.fakes import clock
from tests.fakes.ports import (
    FakeAnswers,
    FakeBudget,
    FakeClaims,
    FakeControls,
    FakeGuard,
    FakeModel,
    FakeSteps,
    FakeTraffic,
)


@dataclass
class UseCase:
    """Everything open; a test closes what it is about. `records` has (job_id, status, code, path, trail).

    Each `run` has a stepped clock that begins at 0: deadlines and waits are those of production, and cost
    nothing.
    """

    controls: FakeControls = field(default_factory=lambda: FakeControls(controls()))
    model: FakeModel = field(default_factory=FakeModel)
    answers: FakeAnswers = field(default_factory=FakeAnswers)
    claims: FakeClaims = field(default_factory=FakeClaims)
    budget: FakeBudget = field(default_factory=FakeBudget)
    traffic: FakeTraffic = field(default_factory=FakeTraffic)
    guard: FakeGuard = field(default_factory=FakeGuard)
    make_steps: Callable[..., FakeSteps] = FakeSteps
    steps: FakeSteps = field(init=False)
    breaches: list[Any] = field(default_factory=list)
    event_valid: bool = True
    has_api_key: bool = True
    changes: dict[str, Any] = field(default_factory=dict)
    records: list[tuple[Any, ...]] = field(default_factory=list)
    bugs: list[BaseException] = field(default_factory=list)
    decisions: list[Any] = field(default_factory=list)
    denied: list[int] = field(default_factory=list)
    cache: list[str] = field(default_factory=list)
    halts: list[tuple[int, float]] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    on_progress: Callable[[], None] = lambda: None
    brake: Brake = field(init=False)

    def __post_init__(self) -> None:
        self.steps = self.make_steps(self.answers, self.claims, self.traffic, self.budget, self.guard)
        # Nobody watches the dial here: the one confirmation at the start has to do, however long it goes on.
        self.brake = Brake(86_400.0, lambda number, seconds: self.halts.append((number, seconds)))

    def run(self, spec: dict[str, Any], *, may_defer: bool = False) -> list[dict[str, Any]]:
        return clock.run(self.answer(spec, may_defer=may_defer))

    async def answer(self, spec: dict[str, Any], *, may_defer: bool = False) -> list[dict[str, Any]]:
        config = dataclasses.replace(executor_config.load(None), **self.changes)
        dial_reader = DialReader(self.controls)
        generation = Generation(
            dial_reader=dial_reader,
            model=self.model,
            steps=self.steps,
            brake=self.brake,
            config=config,
            prompts=Prompts.load(config.prompts),
            rate_limiter=RateLimiter(),
            slots=asyncio.Semaphore(50),
            count_cache=self.cache.append,
            count_denied=lambda: self.denied.append(1),
        )
        generate = Generate(
            dial_reader=dial_reader,
            generation=generation,
            has_api_key=self.has_api_key,
            count_decision=self.decisions.append,
            record=self._record,
            monitor=OutcomeMonitor(config.guard, self.breaches.append),
            report_bug=lambda _, error: self.bugs.append(error),
            tell_progress=self._tell,
        )
        self.brake.release(clock.now_mono())
        outcomes = await generate(Spec.of(spec), "task-1", may_defer=may_defer)
        return [each.as_result() for each in outcomes]

    async def _tell(self, task_id: str, done: int, total: int) -> None:
        self.progress.append((task_id, done, total))
        self.on_progress()

    def _record(self, job: Any, outcome: Any, context: Any, latency_ms: float, task_id: str) -> Entry:
        assert latency_ms >= 0
        assert task_id == "task-1"
        code = outcome.error_code.value if outcome.error_code else None
        record = (job.job_id, outcome.status.value, code, context.path, context)
        return Entry(self.event_valid, lambda: self.records.append(record))

    @property
    def outcomes(self) -> list[tuple[str, str | None, str]]:
        """(status, errorCode, path) of each record, in the order recorded."""
        return [record[1:4] for record in self.records]
