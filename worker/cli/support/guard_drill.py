"""One rehearsal of the guard: the script and rules of the workers, on a brake that nobody listens to."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.cli.support.errors import CliError

if TYPE_CHECKING:
    from tasks.limits.guard import GuardFinding, GuardRules, JobResult
    from tasks.operations.drill import Check, DrillRecord
    from worker.cli.support.operator_session import OperatorSession


@dataclass(frozen=True, slots=True)
class GuardDrill:
    """One drill in the name of `actor`. It touches no dial: its keys are its own, and go with it."""

    console: OperatorSession
    actor: str

    def run(self) -> DrillRecord:
        """Show the guard good outcomes, then bad ones; return the record that is also kept.

        Raises:
            Refusal: the executor config cannot be used.
            StoreUnavailable: Redis did not answer.

        """
        from tasks.operations.drill import DrillRecord  # noqa: PLC0415 - heavy imports wait for the command
        from worker.adapters.redis.console.drills import RedisDrills  # noqa: PLC0415
        from worker.adapters.redis.keys import REHEARSAL  # noqa: PLC0415

        namespace = REHEARSAL(self.console.settings.namespace, uuid.uuid4().hex)
        try:
            checks = self._checks(namespace, self._rules())
        finally:
            self._forget(namespace)
        record = DrillRecord(
            wall_ms=self.console.history.now_ms(),
            actor=self.actor,
            passed=all(each.passed for each in checks),
            halt_ms=None,
            workers=0,
            cancelled_calls=0,
            checks=checks,
        )
        RedisDrills(self.console.client, self.console.settings.namespace, "guard").add(record)
        return record

    def _rules(self) -> GuardRules:
        from tasks import executor_config  # noqa: PLC0415 - heavy imports wait for the command

        try:
            return executor_config.load(self.console.settings.executor_config).guard
        except executor_config.BadExecutorConfig as error:
            raise CliError(str(error)) from None

    def _checks(self, namespace: str, rules: GuardRules) -> tuple[Check, ...]:
        from tasks.limits.guard import GuardMode, JobResult  # noqa: PLC0415 - heavy imports wait for the command
        from tasks.operations.drill import Check  # noqa: PLC0415
        from worker.adapters.redis.keys import KILL  # noqa: PLC0415

        client, kill = self.console.client, KILL(namespace)
        client.set(kill, "false", ex=60)
        good = self._observed(namespace, rules, [frozenset()] * rules.sample)
        after_good = client.get(kill)
        bad = self._observed(
            namespace, rules, [frozenset({JobResult.FAILED, JobResult.UNUSABLE})] * rules.sample
        )
        needed = next((number for number, each in enumerate(bad, 1) if each.tripped), None)
        seen = (
            f"after {needed} unusable outcomes in a row: {bad[needed - 1].reason}" if needed else "it did not"
        )
        if rules.mode is not GuardMode.HALT:
            seen = f"its mode is {rules.mode}; set it to halt in the executor config"
        return (
            Check(
                "good outcomes leave the brake alone",
                passed=after_good == b"false" and not any(each.tripped for each in good),
                seen=f"{len(good)} outcomes",
            ),
            Check("unusable outcomes pull it", passed=client.get(kill) == b"true", seen=seen),
            Check(
                "it trips once",
                passed=sum(each.tripped for each in bad) == 1,
                seen=f"{sum(each.tripped for each in bad)} times in {len(bad)} outcomes",
            ),
        )

    def _observed(
        self, namespace: str, rules: GuardRules, outcomes: list[frozenset[JobResult]]
    ) -> list[GuardFinding]:
        from worker.adapters.redis.batches import RedisBatches  # noqa: PLC0415 - heavy imports wait for the command
        from worker.adapters.redis.clients import open_async  # noqa: PLC0415
        from worker.adapters.redis.jobs.guard import RedisGuard  # noqa: PLC0415

        async def observe() -> list[GuardFinding]:
            url = self.console.settings.redis_url
            async with open_async(url) as client:
                guard = RedisGuard(RedisBatches(client), namespace, rules)
                return [
                    await guard.observe(each, 0, "OUTPUT_SCHEMA_INVALID" if each else "") for each in outcomes
                ]

        return asyncio.run(observe())

    def _forget(self, namespace: str) -> None:
        keys = list(self.console.client.scan_iter(f"{namespace}:*", count=1000))
        if keys:
            self.console.client.delete(*keys)
