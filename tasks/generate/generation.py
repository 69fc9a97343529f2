"""Takes one admitted job to the model and back: cache, spend cap, brake, attempts, acceptance."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from gates import evaluate, kill_switch
from schemas import OutputType
from tasks.errors import Deferred, ErrorCode, Failed, JobEnded, ModelError, StoreUnavailable, Stubbed
from tasks.executor_config import ExecutorConfig
from tasks.generate.acceptance import accept, acceptable
from tasks.generate.dial_reader import DialReader
from tasks.generate.job_context import JobContext
from tasks.generate.prompting import Prompts, build_request, check_length, job_key, repair_request
from tasks.generate.spec import Job
from tasks.limits.brake import Brake
from tasks.limits.rate_limiter import RateLimiter
from tasks.ports import AnswerStore, Budget, Claims, Model, ModelAnswer, ModelRequest, Reservation, TokenUsage

T = TypeVar("T")
# What a model can do better once it knows; a refusal or too few tokens would come again.
_REPAIRABLE = {
    ErrorCode.OUTPUT_NOT_JSON,
    ErrorCode.OUTPUT_SCHEMA_INVALID,
    ErrorCode.OUTPUT_POLICY_VIOLATION,
}
_HALTED = {ErrorCode.KILL_SWITCH, ErrorCode.KILL_UNVERIFIED}
# For a Redis that is away a while when a job ends: what is held then must not go to another worker.
_SPARE_SECONDS = 60.0
_CLAIM_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Admitted:
    """An admitted job, the key under which its answer is kept, and what was done for it so far."""

    job: Job
    output: OutputType
    key: str
    context: JobContext


@dataclass(frozen=True, slots=True)
class Generation:
    """Generates content for admitted jobs; runs on one event loop.

    `dial_reader` has the dials right before each request. `count_cache(result)` gets "hit", "miss" or
    "store_failed". `slots` bounds the calls in flight of this process; a job's deadline begins once it has
    a slot.
    """

    dial_reader: DialReader
    model: Model
    answers: AnswerStore
    claims: Claims
    budget: Budget
    brake: Brake
    config: ExecutorConfig
    prompts: Prompts
    rate_limiter: RateLimiter
    slots: asyncio.Semaphore
    count_cache: Callable[[str], None]

    async def content(self, job: Job, output: OutputType, context: JobContext) -> Any:
        """Return the content of `job`, from the cache or freshly generated and stored.

        Raises:
            Stubbed: the brake came on, the request is too long, or the spend cap does not cover the call.
            Failed: no usable answer within the deadline and the attempts.
            Deferred: the server asked for more time than the job has.

        """
        admitted = _Admitted(job, output, job_key(job, self.prompts, self.config), context)
        value = await self._stored(admitted)
        self.count_cache("miss" if value is None else "hit")
        if value is not None:
            return value
        async with self.slots:
            return await self._claimed_content(admitted)

    async def _stored(self, admitted: _Admitted) -> Any | None:
        value = await self.answers.get(admitted.key)
        # Someone may have written to Redis, and the policy may have changed since.
        admitted.context.cached = value is not None and acceptable(admitted.output, value)
        return value if admitted.context.cached else None

    async def _claimed_content(self, admitted: _Admitted) -> Any:
        """Generate while no other worker does; a message delivered twice at once is paid for once."""
        token, concluded = uuid.uuid4().hex, True
        try:
            await self._in_reach(self._claim(admitted.key, token), admitted.context)
            return await self._content_once(admitted)
        except StoreUnavailable:
            raise Stubbed(ErrorCode.KILL_UNVERIFIED, "Redis did not answer") from None
        except (asyncio.CancelledError, Deferred):
            # The job goes back without an outcome, and what it tried stays in the ledger.
            concluded = False
            raise
        finally:
            await asyncio.shield(self.claims.release(admitted.key, token, concluded=concluded))

    async def _content_once(self, admitted: _Admitted) -> Any:
        value = await self._stored(admitted)
        if value is not None:
            return value
        request = build_request(admitted.job, admitted.output, self.prompts, self.config)
        check_length(request, self.config)
        value = await self._in_reach(self._usable_value(admitted, request), admitted.context)
        # Outside the brake's reach: what was paid for is kept, whatever happens meanwhile.
        if not await self.answers.put(admitted.key, value):
            self.count_cache("store_failed")
        return value

    async def _claim(self, key: str, token: str) -> None:
        while not await self.claims.acquire(key, token, self._held_seconds):  # noqa: ASYNC110 - its holder is another process
            await asyncio.sleep(_CLAIM_POLL_SECONDS)

    @property
    def _held_seconds(self) -> float:
        """How long what a job holds outlasts it: a living worker gives it up within the job's deadline."""
        return self.config.job_deadline_seconds + _SPARE_SECONDS

    async def _in_reach(self, work: Coroutine[Any, Any, T], context: JobContext) -> T:
        """Run `work` in reach of the brake and of the job's deadline."""
        try:
            async with asyncio.timeout(self.config.job_deadline_seconds):
                return await self.brake.run_cancellable(work)
        except TimeoutError:
            if context.held_back:
                raise Deferred from None
            raise Failed(ErrorCode.OPENAI_TIMEOUT, "the job's deadline passed") from None

    async def _usable_value(self, admitted: _Admitted, request: ModelRequest) -> Any:
        """Return the first acceptable answer; one that is not is paid for, and worth asking for again."""
        answer = await self._attempts(admitted, request)
        while True:
            try:
                return accept(admitted.output, answer)
            except Failed as unusable:
                repair = repair_request(request, unusable.detail)
                if not self._worth_a_repair(unusable, repair, admitted.context):
                    raise
                admitted.context.repairs += 1
                answer = await self._repair(admitted, repair, unusable)

    def _worth_a_repair(self, unusable: Failed, repair: ModelRequest, context: JobContext) -> bool:
        return (
            unusable.code in _REPAIRABLE
            and context.repairs < self.config.repair_attempts
            and context.attempts < self.config.attempts
            and repair.size_bytes <= self.config.max_input_tokens
        )

    async def _repair(self, admitted: _Admitted, repair: ModelRequest, unusable: Failed) -> ModelAnswer:
        """Ask again; where there is no answer to that, the job ends as the first one made it end."""
        try:
            return await self._attempts(admitted, repair)
        except JobEnded as end:
            if end.code in _HALTED:
                raise
            detail = f"{unusable.detail}; asked again, it ended as {end.code}"
            raise Failed(unusable.code, detail, rule=unusable.rule) from None

    async def _attempts(self, admitted: _Admitted, request: ModelRequest) -> ModelAnswer:
        # Before anything is reserved, noted or confirmed: all of that is for a request that leaves at once.
        await self.model.ready()
        retrying = self.config.retry.retrying(
            lambda error: isinstance(error, ModelError) and error.retryable,
            attempts=self.config.attempts - admitted.context.attempts,
            deadline_seconds=self.config.job_deadline_seconds,
        )
        return await retrying(self._attempt, admitted, request)

    async def _attempt(self, admitted: _Admitted, request: ModelRequest) -> ModelAnswer:
        """Send the request once the server has room; waiting for that burns no attempt."""
        admitted.context.held_back = True
        probe = await self.rate_limiter.acquire()
        admitted.context.held_back = False
        try:
            answer = await self._one_request(admitted, request)
        except ModelError as error:
            if await self.rate_limiter.failed(error):
                await self.claims.end_attempt(admitted.key)
            raise
        await self.rate_limiter.answered(probe=probe)
        return answer

    async def _one_request(self, admitted: _Admitted, request: ModelRequest) -> ModelAnswer:
        worst = self.config.worst_case_nano_usd(request.size_bytes, request.max_output_tokens)
        reservation_id = f"{admitted.key}:{uuid.uuid4().hex}"
        spent, known = 0, True
        try:
            await self._reserve(Reservation(reservation_id, worst, request.model, self._held_seconds))
            await self._note_attempt(admitted.key)
            await self._decide_again(admitted)
            # From here on, unless the server says otherwise, the call may have been charged in full.
            spent, known = worst, False
            answer = await self._request(request, admitted.context)
            spent, known = self._cost(answer.usage, worst)
        except ModelError as error:
            spent, known = self._cost(error.usage, worst) if error.billed else (0, True)
            raise
        else:
            return answer
        finally:
            admitted.context.cost_nano_usd += spent
            await asyncio.shield(self.budget.settle(reservation_id, spent, known=known))

    async def _reserve(self, reservation: Reservation) -> None:
        # Shielded: cancelled half-way it would leave a reservation that is never settled.
        reserving = asyncio.ensure_future(self.budget.reserve(reservation))
        try:
            granted = await asyncio.shield(reserving)
        except asyncio.CancelledError:
            await asyncio.wait({reserving})
            raise
        if not granted:
            raise Stubbed(ErrorCode.BUDGET_EXCEEDED, "the spend cap does not cover the worst case")

    async def _note_attempt(self, key: str) -> None:
        """Write the attempt down before it leaves: one that a worker has died with counts, too."""
        begun = await self.claims.begin_attempt(key)
        if begun > self.config.attempts:
            raise Failed(
                ErrorCode.OPENAI_CONNECTION_ERROR,
                f"{begun - 1} attempts were begun, and some have no outcome",
            )

    async def _request(self, request: ModelRequest, context: JobContext) -> ModelAnswer:
        context.attempts += 1
        context.model = request.model
        loop = asyncio.get_running_loop()
        began_mono = loop.time()
        try:
            answer = await self.model.respond(request)
        finally:
            context.model_ms += (loop.time() - began_mono) * 1000
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

    async def _decide_again(self, admitted: _Admitted) -> None:
        """Let all gates decide by a read of this moment: no request starts against a dial."""
        read = await self.dial_reader.read_shared()
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
