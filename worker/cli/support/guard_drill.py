"""One drill of the guard: the script and rules of the workers, on a kill switch that no worker follows."""

import asyncio
import uuid

from tasks.executor_config import ExecutorConfig
from tasks.limits.guard import GuardFinding, GuardMode, GuardVerdict, JobResult, Observation
from tasks.operations.drill import DrillCheck, DrillRecord
from tasks.operations.timefmt import counted
from tasks.ports import Arrival, Ending
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.steps import RedisSteps
from worker.adapters.redis.keys import KILL, REHEARSAL
from worker.cli.support.documents import load_executor
from worker.cli.support.operator_session import OperatorSession
from worker.settings.settings import Settings


def guard_drill(session: OperatorSession, actor: str) -> DrillRecord:
    """Show the guard good outcomes, then bad ones. It touches no dial: its keys are its own, and go with it.

    Raises:
        CliError: the executor config cannot be used.
        StoreUnavailable: Redis did not answer.

    """
    config = load_executor(session.settings.executor_config)[0]
    namespace = REHEARSAL(session.settings.namespace, uuid.uuid4().hex)
    try:
        checks = _checks(session, namespace, config)
    finally:
        if keys := list(session.client.scan_iter(f"{namespace}:*", count=1000)):
            session.client.delete(*keys)
    return DrillRecord(
        wall_ms=session.history.now_ms(),
        actor=actor,
        passed=all(each.passed for each in checks),
        halt_ms=None,
        workers=0,
        cancelled_calls=0,
        checks=checks,
    )


def _checks(session: OperatorSession, namespace: str, config: ExecutorConfig) -> tuple[DrillCheck, ...]:
    client, kill, rules = session.client, KILL(namespace), config.guard
    client.set(kill, "false", ex=60)
    good = asyncio.run(_observed(session.settings, namespace, config, frozenset()))
    after_good = client.get(kill)
    unusable = frozenset({JobResult.FAILED, JobResult.UNUSABLE})
    bad = asyncio.run(_observed(session.settings, namespace, config, unusable))
    needed = next((number for number, each in enumerate(bad, 1) if each.tripped), None)
    seen = f"after {needed} unusable outcomes in a row: {bad[needed - 1].reason}" if needed else "it did not"
    if rules.mode is not GuardMode.HALT:
        seen = f"its mode is {rules.mode}; set it to halt in the executor config"
    return (
        DrillCheck(
            "good outcomes halt nothing",
            passed=after_good == b"false" and not any(each.tripped for each in good),
            seen=f"{len(good)} outcomes",
        ),
        DrillCheck("unusable outcomes halt", passed=client.get(kill) == b"true", seen=seen),
        DrillCheck(
            "it trips once",
            passed=sum(each.tripped for each in bad) == 1,
            seen=f"{counted(sum(each.tripped for each in bad), 'time')} in {counted(len(bad), 'outcome')}",
        ),
    )


async def _observed(
    settings: Settings, namespace: str, config: ExecutorConfig, outcome: frozenset[JobResult]
) -> list[GuardFinding]:
    """Return what the guard finds after each of a whole sample of jobs that end like `outcome`."""
    seen = Observation(outcome, 0, "OUTPUT_SCHEMA_INVALID" if outcome else "")
    end = Arrival("", ending=Ending("", concluded=False, observation=seen))
    async with open_async(settings.redis_url) as client:
        steps = RedisSteps.of(RedisBatches(client), namespace, "drill", settings, config)
        found = [(await steps.arrive(end)).finding for _ in range(config.guard.sample)]
    return [each or GuardFinding(GuardVerdict.NO_DATA) for each in found]
