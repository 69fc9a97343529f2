"""Takes one admitted job to the model and back: claim, depart, request, judgement, arrive."""

import asyncio
import contextlib
import json
import math
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gates import evaluate, kill_switch
from schemas import OutputType
from tasks.errors import Deferred, ErrorCode, Failed, JobEnded, ModelError, StoreUnavailable, Stubbed
from tasks.executor_config import ExecutorConfig
from tasks.generate.dial_reader import DialRead, DialReader
from tasks.generate.job_context import JobContext
from tasks.generate.judging import Judge
from tasks.generate.prompting import Prompts, build_request, check_length, job_key, repair_request
from tasks.generate.shielding import to_its_end
from tasks.generate.spec import Job
from tasks.limits.brake import Brake
from tasks.limits.guard import GuardFinding, Observation
from tasks.limits.rate_limiter import RateLimiter
from tasks.operations.money import uncovered
from tasks.ports import (
    Arrival,
    Departed,
    Departure,
    Ending,
    Model,
    ModelAnswer,
    ModelRequest,
    Settlement,
    Steps,
    TokenUsage,
)

T = TypeVar("T")
# What a model can do better once it knows; a refusal or too few tokens would come again.
_REPAIRABLE = {
    ErrorCode.OUTPUT_NOT_JSON,
    ErrorCode.OUTPUT_SCHEMA_INVALID,
    ErrorCode.OUTPUT_POLICY_VIOLATION,
}
_HALTED = {ErrorCode.KILL_SWITCH, ErrorCode.KILL_UNVERIFIED}
# For a Redis that is away a while when a job ends.
_SPARE_SECONDS = 60.0
# A read of the dials that is older when the request would leave is made again.
_STALE_SECONDS = 0.2
_NO_ROOM = Failed(ErrorCode.OPENAI_RATE_LIMITED, "the server asked to wait, for longer than maxAgeSeconds")


class _Overtaken(Exception):  # noqa: N818 - says what happened to the job
    """Somebody else has taken the job over, or answered it: it begins again with its claim."""


@dataclass(slots=True)
class _Flight:
    """One request on its way: its reservation, and what it has cost for all that is known now."""

    reservation_id: str
    worst_nano_usd: int
    spent_nano_usd: int = 0
    cost_known: bool = True
    # Whether it is the probe of an open breaker; how many attempts have no outcome, this one included.
    probe: bool = False
    begun: int = 0
    # Whether the server has answered it, and the JSON text of what can be used of that.
    is_answered: bool = False
    answer: str | None = None

    def settlement(self, rule: str) -> Settlement:
        return Settlement(self.reservation_id, self.spent_nano_usd, self.cost_known, rule)


@dataclass(slots=True)
class Admitted:
    """An admitted job, and what is held for it: its claim, and the money of a request that is not settled."""

    job: Job
    output: OutputType
    context: JobContext
    # The key under which its answer is kept.
    key: str = ""
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    claimed: bool = False
    deadline_mono: float = math.inf
    flight: _Flight | None = None

    @property
    def holds_answer(self) -> bool:
        """Whether it has an answer that was paid for, and is not kept yet."""
        return self.flight is not None and self.flight.answer is not None


@dataclass(frozen=True, slots=True)
class Generation:
    """Generates content for admitted jobs; runs on one event loop.

    The brake and the deadline reach a request until its response is there. What books the response (its
    cost, the answer) comes after that, outside their reach, and waits for Redis however long it takes.

    `dial_reader` has the dials right before each request. `count_cache(result)` gets "hit", "miss" or
    "store_failed"; `count_denied` hears of each request that the spend cap does not cover. `slots` bounds the
    calls in flight of this process; a job's deadline begins once it has a slot, and anew while another copy
    of it is waited for.
    """

    dial_reader: DialReader
    model: Model
    steps: Steps
    brake: Brake
    config: ExecutorConfig
    prompts: Prompts
    rate_limiter: RateLimiter
    slots: asyncio.Semaphore
    count_cache: Callable[[str], None]
    count_denied: Callable[[], None]
    judge: Judge = field(default_factory=Judge)

    async def content(self, admitted: Admitted) -> Any:
        """Return the job's content, from the cache or freshly generated; `arrive` must follow.

        Raises:
            Stubbed: the brake came on, Redis did not answer, the request is too long, or the spend cap does
                not cover the call.
            Failed: no usable answer within the deadline and the attempts.
            Deferred: the server asked for more time than the job has, or another copy of it takes as long.

        """
        admitted.key = job_key(admitted.job, self.prompts, self.config)
        try:
            while True:
                with contextlib.suppress(_Overtaken):
                    return await self._found(admitted)
        except StoreUnavailable as error:
            raise Stubbed(ErrorCode.KILL_UNVERIFIED, str(error) or "Redis did not answer") from None

    async def _found(self, admitted: Admitted) -> Any:
        """Return the stored answer, or a fresh one."""
        admitted.deadline_mono = self._deadline_from_now()
        with admitted.context.timed("claim"):
            value = await self._in_reach(self._claim(admitted), admitted)
        self.count_cache("miss" if value is None else "hit")
        if value is not None:
            return value
        async with self.slots:
            return await self._fresh(admitted)

    async def arrive(
        self, admitted: Admitted, observation: Observation | None = None, *, concluded: bool
    ) -> GuardFinding | None:
        """Keep the answer, settle its cost, let the guard see the outcome, and give the job back.

        All of that is one step, which waits for Redis, however long. A job without an outcome is not
        `concluded`: what it tried stays in the ledger. Returns what the guard found.
        """
        if not (admitted.claimed or admitted.flight or observation):
            return None
        token = admitted.token if admitted.claimed else ""
        with admitted.context.timed("arrive"):
            booking = self._book(admitted, Ending(token, concluded, observation))
            return await to_its_end(booking, paid_for=admitted.holds_answer)

    async def _claim(self, admitted: Admitted) -> Any | None:
        """Return the job's stored answer, or None once the job is ours.

        While a living worker has it there is only one thing to do, which is to wait: outside the slots.
        """
        admitted.context.held_back = Failed(
            ErrorCode.OPENAI_TIMEOUT, "another copy of the job takes too long"
        )
        unusable = b""
        async with AsyncExitStack() as watching:
            released: asyncio.Event | None = None
            while True:
                # Cut off before the reply, it may be ours.
                admitted.claimed = True
                try:
                    claim = await self.steps.claim(admitted.key, admitted.token, despite=unusable)
                except Exception as error:
                    admitted.claimed = isinstance(error, StoreUnavailable)
                    raise
                admitted.claimed = claim.ours
                if claim.ours:
                    admitted.context.held_back = None
                    return None
                if not claim.stored:
                    if released is None:
                        released = await watching.enter_async_context(self.steps.released(admitted.key))
                    await released.wait()
                    released.clear()
                # Someone may have written to Redis, and the policy may have changed since.
                elif await self.judge.acceptable(admitted.output, claim.answer, len(claim.stored)):
                    admitted.context.cached = True
                    return claim.answer
                else:
                    unusable = claim.stored

    async def _fresh(self, admitted: Admitted) -> Any:
        """Return the first acceptable answer; one that is not is paid for, and worth asking again."""
        request = build_request(admitted.job, admitted.output, self.prompts, self.config)
        check_length(request, self.config)
        admitted.deadline_mono = self._deadline_from_now()
        found = await self._attempts(admitted, request)
        while isinstance(found, Failed):
            repair = repair_request(request, found.detail)
            if not self._worth_a_repair(found, repair, admitted.context):
                raise found
            admitted.context.repairs += 1
            found = await self._repair(admitted, repair, found)
        return found

    async def _book(
        self, admitted: Admitted, ending: Ending | None = None, error: ModelError | None = None
    ) -> GuardFinding | None:
        """Take what is in flight to its end, and with it the job that has one, in one step."""
        flight = admitted.flight
        cooldown_seconds, opened_by = self.rate_limiter.failed(error) if error else (0.0, None)
        arrived = await self.steps.arrive(
            Arrival(
                admitted.key,
                settlement=flight.settlement(admitted.context.rule_id or "") if flight else None,
                answer=flight.answer if flight else None,
                model=self.config.model,
                cooldown_seconds=cooldown_seconds,
                opened_by=opened_by,
                closes_breaker=bool(flight and flight.probe and flight.is_answered),
                taken_back=flight.begun if flight and cooldown_seconds else 0,
                ending=ending,
            )
        )
        admitted.flight = None
        if not arrived.stored:
            self.count_cache("store_failed")
        return arrived.finding

    def _deadline_from_now(self) -> float:
        return asyncio.get_running_loop().time() + self.config.job_deadline_seconds

    @property
    def _held_seconds(self) -> float:
        """How long money is held for a job: a living worker settles it soon after the job's deadline."""
        return self.config.job_deadline_seconds + _SPARE_SECONDS

    async def _in_reach(self, work: Coroutine[Any, Any, T], admitted: Admitted) -> T:
        """Run `work` in reach of the brake and of the job's deadline."""
        try:
            async with asyncio.timeout_at(admitted.deadline_mono):
                return await self.brake.run_cancellable(work)
        except TimeoutError:
            if admitted.context.held_back:
                raise Deferred(admitted.context.held_back) from None
            raise Failed(ErrorCode.OPENAI_TIMEOUT, "the job's deadline passed") from None

    def _worth_a_repair(self, unusable: Failed, repair: ModelRequest, context: JobContext) -> bool:
        return (
            unusable.code in _REPAIRABLE
            and context.repairs < self.config.repair_attempts
            and context.attempts < self.config.attempts
            and repair.size_bytes <= self.config.max_input_tokens
        )

    async def _repair(self, admitted: Admitted, repair: ModelRequest, unusable: Failed) -> Any | Failed:
        """Ask again; where there is no answer to that, the job ends as the first one made it end."""
        try:
            return await self._attempts(admitted, repair)
        except JobEnded as end:
            if end.code in _HALTED:
                raise
            detail = f"{unusable.detail}; asked again, it ended as {end.code}"
            raise Failed(unusable.code, detail, rule=unusable.rule) from None

    async def _attempts(self, admitted: Admitted, request: ModelRequest) -> Any | Failed:
        """Return the value of the first answer that comes, or why it is none."""
        retrying = self.config.retry.retrying(
            lambda error: isinstance(error, ModelError) and error.retryable,
            attempts=self.config.attempts - admitted.context.attempts,
            deadline_seconds=self.config.job_deadline_seconds,
            sleep=lambda seconds: self._in_reach(asyncio.sleep(seconds), admitted),
        )
        return await retrying(self._attempt, admitted, request)

    async def _attempt(self, admitted: Admitted, request: ModelRequest) -> Any | Failed:
        """Send the request once, and judge what comes of it."""
        if admitted.flight:
            # An answer that is asked for once more: what it has cost is settled before.
            await to_its_end(self._book(admitted))
        worst = self.config.worst_case_nano_usd(request.size_bytes, request.max_output_tokens)
        flight = admitted.flight = _Flight(f"{admitted.key}:{uuid.uuid4().hex}", worst)
        try:
            answer = await self._in_reach(self._fly(admitted, flight, request), admitted)
            flight.spent_nano_usd, flight.cost_known = self._cost(answer.usage, worst)
            return await to_its_end(self._judge(admitted, flight, answer), paid_for=True)
        except ModelError as error:
            charged = self._cost(error.usage, worst) if error.billed else (0, True)
            flight.spent_nano_usd, flight.cost_known = charged
            await to_its_end(self._book(admitted, error=error))
            raise
        finally:
            admitted.context.cost_nano_usd += flight.spent_nano_usd

    async def _judge(self, admitted: Admitted, flight: _Flight, answer: ModelAnswer) -> Any | Failed:
        """Return what was answered, which is paid for and to be kept, or why it cannot be used."""
        flight.is_answered = True
        self.rate_limiter.answered()
        try:
            with admitted.context.timed("judge"):
                found = await self.judge.accept(admitted.output, answer)
        except Failed as unusable:
            # Not that one, whose frames hold the answer for as long as another one is asked for.
            return Failed(unusable.code, unusable.detail, rule=unusable.rule, flagged=unusable.flagged)
        flight.answer = json.dumps(found)
        return found

    async def _fly(self, admitted: Admitted, flight: _Flight, request: ModelRequest) -> ModelAnswer:
        # Before anything is reserved, noted or confirmed: all of that is for a request that leaves at once.
        await self.model.ready()
        with admitted.context.timed("depart"):
            dials = await self._depart(admitted, flight, request)
        self._decide_again(admitted, dials)
        # From here on, unless the server says otherwise, the call may have been charged in full.
        flight.spent_nano_usd, flight.cost_known = flight.worst_nano_usd, False
        return await self._request(request, admitted.context)

    async def _depart(self, admitted: Admitted, flight: _Flight, request: ModelRequest) -> DialRead:
        """Return when the request may leave, with the dials of then; waiting for that burns no attempt."""
        departure = Departure(
            admitted.key,
            flight.reservation_id,
            request.model,
            flight.worst_nano_usd,
            self._held_seconds,
            self.config.attempts,
            admitted.token,
        )
        read: asyncio.Future[DialRead]

        async def ask() -> Departed:
            # Both at once: neither needs the other.
            nonlocal read
            read = self.dial_reader.read_shared()
            return await self.steps.depart(departure)

        admitted.context.held_back = _NO_ROOM
        departed = await self.rate_limiter.depart(ask)
        admitted.context.held_back = None
        flight.probe, flight.begun = departed.probe, departed.begun
        if departed.unclaimed:
            admitted.flight = None
            raise _Overtaken
        if departed.uncovered:
            self.count_denied()
            raise Stubbed(ErrorCode.BUDGET_EXCEEDED, uncovered(flight.worst_nano_usd, *departed.uncovered))
        if not departed.left:
            raise Failed(
                ErrorCode.OPENAI_CONNECTION_ERROR,
                f"{departed.begun} attempts were begun, and some have no outcome",
            )
        dials = await read
        if asyncio.get_running_loop().time() - dials.asked_mono > _STALE_SECONDS:
            dials = await self.dial_reader.read_shared()
        return dials

    async def _request(self, request: ModelRequest, context: JobContext) -> ModelAnswer:
        context.attempts += 1
        context.model = request.model
        with context.timed("request"):
            answer = await self.model.respond(request)
        context.request_id = answer.request_id
        if usage := answer.usage:
            context.input_tokens += usage.input_tokens
            context.cached_input_tokens += usage.cached_input_tokens
            context.output_tokens += usage.output_tokens
        return answer

    def _cost(self, usage: TokenUsage | None, worst: int) -> tuple[int, bool]:
        """Return the nano-dollars, and whether they are known: none can cost more than its worst case."""
        cost = None if usage is None else self.config.cost_nano_usd(usage)
        return (worst, False) if cost is None or cost > worst else (cost, True)

    def _decide_again(self, admitted: Admitted, read: DialRead) -> None:
        """Let all gates decide by a read of this moment: no request starts against a dial."""
        decision = evaluate(admitted.job.subject, read.controls)
        if decision.gate != kill_switch.GATE.name:
            # Whatever the other gates say, this read has found the kill switch off.
            self.brake.check_before_request(read.asked_mono)
        if decision.reason is None:
            return
        admitted.context.gate = decision.gate
        admitted.context.policy_hash = read.controls.policy_hash
        if decision.reason is kill_switch.KillReason.KILL_SWITCH:
            # What this read saw concerns every other call in flight too.
            self.brake.engage(ErrorCode.KILL_SWITCH)
        raise Stubbed(ErrorCode(decision.reason), decision.detail)
