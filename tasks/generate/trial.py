"""Tries jobs at a model outside the queue, on the path of any job, under the kill switch and the cap."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Self

from gates import GATES, Allowlist, Controls, Reading, allowlist, kill_switch
from tasks.errors import ErrorCode
from tasks.executor_config import ExecutorConfig
from tasks.generate.generation import Generation
from tasks.generate.job_context import JobContext
from tasks.generate.outcome import Outcome
from tasks.generate.prompting import Prompts
from tasks.generate.recording import Entry
from tasks.generate.spec import Job, Spec
from tasks.generate.use_case import Generate
from tasks.limits.guard import OutcomeMonitor
from tasks.ports import (
    Arrival,
    Arrived,
    Claim,
    ControlSource,
    Departed,
    Departure,
    Model,
    ModelAnswer,
    ModelRequest,
    Steps,
)

# How many requests of a trial may be in flight.
AT_ONCE = 8
# Every dial but the kill switch, and the policy, which depends on the jobs.
_WIDE_OPEN = {
    gate.name: Reading(gate.dial.parse(gate.dial.open_value))
    for gate in GATES
    if gate is not kill_switch.GATE and gate.dial and gate.dial.open_value
}
# After one of these no other try would get an answer.
_ENDS_THE_TRIAL = {
    ErrorCode.KILL_SWITCH,
    ErrorCode.KILL_UNVERIFIED,
    ErrorCode.BUDGET_EXCEEDED,
    ErrorCode.MISSING_API_KEY,
    ErrorCode.OPENAI_AUTH_ERROR,
    ErrorCode.OPENAI_QUOTA_EXHAUSTED,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is tried: an executor config with its prompts, by a `name` that tells it from another."""

    name: str
    config: ExecutorConfig
    prompts: Prompts


@dataclass(frozen=True, slots=True)
class Tried:
    """One try, `number` 1 or more of its job. `answers` are the texts that the model gave, in their order."""

    candidate: Candidate
    job: Job
    number: int
    outcome: Outcome
    context: JobContext
    latency_ms: float
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrialControls:
    """The dials of a trial: the kill switch as it is, every other one wide open for the jobs of `policy`.

    What is the job's own to say (its opt-in, its mode) decides as ever.
    """

    controls: ControlSource
    policy: Allowlist

    @classmethod
    def of(cls, controls: ControlSource, jobs: Iterable[Job]) -> Self:
        """Return the dials for a trial of `jobs`."""
        subject, level, board, version, kinds, _ = map(
            list, zip(*(job.subject.values for job in jobs), strict=True)
        )
        rule = {
            "id": "trial",
            "enabled": True,
            "appliesTo": {"subject": subject, "level": level, "board": board, "specVersion": version},
            "kinds": kinds,
            "slotIds": [],
            "maxJobsPerRun": 1,
        }
        return cls(controls, Allowlist.of({"enabled": True, "rules": [rule]}))

    @property
    def at_once(self) -> int:
        """Return how many reads one round trip may have."""
        return self.controls.at_once

    def read(self) -> Controls:
        """Return the dials as they are now. Never raises."""
        return self._opened(self.controls.read())

    async def read_each(self, number: int) -> list[Controls]:
        """Return `number` reads, each one in its own right. Never raises."""
        return [self._opened(each) for each in await self.controls.read_each(number)]

    def _opened(self, found: Controls) -> Controls:
        wide_open: dict[str, Reading[Any]] = {**_WIDE_OPEN, allowlist.NAME: Reading(self.policy)}
        asked = zip(GATES, found.asked, strict=True)
        return Controls(
            tuple((check, wide_open.get(gate.name, reading)) for gate, (check, reading) in asked), found.note
        )


@dataclass(frozen=True, slots=True)
class TrialSteps:
    """The steps of one try, under a `key` of its own: its money is held and settled like any call's.

    Nothing else is the fleet's: no answer is kept or served, the guard sees no outcome, and a refusal, which
    may be of another account, opens no breaker and starts no cooldown. Those of the fleet hold it back, and
    no answer to it closes them: it is never the probe.
    """

    steps: Steps
    key: str

    async def claim(self, key: str, token: str, *, despite: bytes = b"") -> Claim:
        """Claim the try. Raises StoreUnavailable."""
        del key
        return await self.steps.claim(self.key, token, despite=despite)

    def released(self, key: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Give an event that is set whenever the claim may be free."""
        del key
        return self.steps.released(self.key)

    async def depart(self, departure: Departure) -> Departed:
        """Hold the money of a request, unless something of the fleet forbids it. Raises StoreUnavailable."""
        return await self.steps.depart(replace(departure, key=self.key, may_probe=False))

    async def arrive(self, arrival: Arrival) -> Arrived:
        """Settle what a request has cost, and leave nothing else."""
        ending = arrival.ending and replace(arrival.ending, concluded=True, observation=None)
        return await self.steps.arrive(
            Arrival(self.key, arrival.settlement, model=arrival.model, ending=ending)
        )


@dataclass(frozen=True, slots=True)
class HeardModel:
    """`model`, whose answers are `heard` as well: a trial shows those, too, that cannot be used."""

    model: Model
    heard: list[ModelAnswer]

    async def ready(self) -> None:
        """Return once a request can be sent."""
        await self.model.ready()

    async def respond(self, request: ModelRequest) -> ModelAnswer:
        """Send `request` once. Raises ModelError."""
        answer = await self.model.respond(request)
        self.heard.append(answer)
        return answer

    def abort_connections(self) -> None:
        """Close every connection at once."""
        self.model.abort_connections()

    async def close(self) -> None:
        """End what is open."""
        await self.model.close()


@dataclass(frozen=True, slots=True)
class Trial:
    """Tries jobs with one candidate, on one event loop. `report_bug` gets an unexpected exception."""

    candidate: Candidate
    generation: Generation
    has_api_key: bool
    report_bug: Callable[[Job, BaseException], None]

    async def __call__(self, job: Job, number: int) -> Tried:
        """Take `job` to the model and back, once."""
        heard: list[ModelAnswer] = []
        tried: list[Tried] = []

        def record(_: Job, outcome: Outcome, context: JobContext, latency_ms: float, _task: str) -> Entry:
            texts = tuple(each.text for each in heard if each.text is not None)
            tried.append(Tried(self.candidate, job, number, outcome, context, latency_ms, texts))
            return Entry(valid=True, write=lambda: None)

        async def tell_progress(*_: object) -> None:
            """Tell nobody: there is one job."""

        generation = replace(
            self.generation,
            model=HeardModel(self.generation.model, heard),
            steps=TrialSteps(self.generation.steps, f"trial-{uuid.uuid4().hex}"),
        )
        generate = Generate(
            dial_reader=generation.dial_reader,
            generation=generation,
            has_api_key=self.has_api_key,
            count_decision=lambda _: None,
            record=record,
            report_bug=self.report_bug,
            monitor=OutcomeMonitor(self.candidate.config.guard, lambda _: None),
            tell_progress=tell_progress,
        )
        await generate(Spec((job,), requires_review=False), "")
        return tried[0]


async def try_all(
    trials: Iterable[Trial], jobs: Iterable[Job], repeats: int, tell: Callable[[Tried], None]
) -> Tried | None:
    """Try each of `jobs` so often with each of `trials`, and `tell` of each try as it ends.

    Return the try after which no other could get an answer: those that had not begun are then left out.
    Raises what `tell` raises.
    """
    room = asyncio.Semaphore(AT_ONCE)
    last: list[Tried] = []

    async def one(trial: Trial, job: Job, number: int) -> None:
        async with room:
            if last:
                return
            tried = await trial(job, number)
        if tried.outcome.error_code in _ENDS_THE_TRIAL:
            last.append(tried)
        tell(tried)

    trials = list(trials)
    try:
        async with asyncio.TaskGroup() as tries:
            for job, number, trial in itertools.product(jobs, range(1, repeats + 1), trials):
                tries.create_task(one(trial, job, number))
    except ExceptionGroup as broken:
        raise broken.exceptions[0] from None
    return last[0] if last else None
