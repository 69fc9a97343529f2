"""One drill of the guard: the script and rules of the workers, on a kill switch that no worker follows."""

import asyncio
import uuid

from tasks.limits.guard import GuardFinding, GuardMode, GuardRules, JobResult
from tasks.operations.drill import DrillCheck, DrillRecord
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.jobs.guard import RedisGuard
from worker.adapters.redis.keys import KILL, REHEARSAL
from worker.cli.support.documents import load_executor
from worker.cli.support.operator_session import OperatorSession


def guard_drill(session: OperatorSession, actor: str) -> DrillRecord:
    """Show the guard good outcomes, then bad ones. It touches no dial: its keys are its own, and go with it.

    Raises:
        CliError: the executor config cannot be used.
        StoreUnavailable: Redis did not answer.

    """
    rules = load_executor(session.settings.executor_config)[0].guard
    namespace = REHEARSAL(session.settings.namespace, uuid.uuid4().hex)
    try:
        checks = _checks(session, namespace, rules)
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


def _checks(session: OperatorSession, namespace: str, rules: GuardRules) -> tuple[DrillCheck, ...]:
    client, kill, url = session.client, KILL(namespace), session.settings.redis_url
    client.set(kill, "false", ex=60)
    good = asyncio.run(_observed(url, namespace, rules, frozenset()))
    after_good = client.get(kill)
    unusable = frozenset({JobResult.FAILED, JobResult.UNUSABLE})
    bad = asyncio.run(_observed(url, namespace, rules, unusable))
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
            seen=f"{sum(each.tripped for each in bad)} times in {len(bad)} outcomes",
        ),
    )


async def _observed(
    url: str, namespace: str, rules: GuardRules, outcome: frozenset[JobResult]
) -> list[GuardFinding]:
    """Return what the guard finds after each of a whole sample of jobs that end like `outcome`."""
    async with open_async(url) as client:
        guard = RedisGuard(RedisBatches(client), namespace, rules)
        code = "OUTPUT_SCHEMA_INVALID" if outcome else ""
        return [await guard.observe(outcome, 0, code) for _ in range(rules.sample)]
