"""One drill of the halt: sets the kill switch, checks what follows, and restores everything."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from gates import Controls
from gates.kill_switch import DIAL
from tasks.errors import StoreUnavailable
from tasks.operations.changes.dials import RAW_COMMAND, AuditRefused, Change, DialsMoved, DialValues
from tasks.operations.drill import (
    DrillCheck,
    DrillJobs,
    DrillRecord,
    calls_check,
    confirmation_check,
    drill_jobs,
    foreign_change,
    later,
    outcomes_check,
)
from tasks.operations.fleet import WorkerInfo
from worker.adapters.redis.console.account import RedisAccount
from worker.adapters.redis.console.probe import send_probe
from worker.adapters.redis.keys import TASK_META
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import OperatorSession
from worker.cli.support.probing import probe
from worker.cli.support.signals import termination_held, termination_ignored
from worker.cli.support.terminal import say
from worker.halt.fleet_halt import halt

_COMMAND = "slotgen drill"
# The gates ignore the blanks and read true; the blanks tell it from someone else's plain `SET … true`.
_OUR_TRUE = b" true "
_ANSWER_SECONDS = 15.0
_POLL_SECONDS = 0.02
# How long a request may take to begin once its money is reserved.
_BEGIN_SECONDS = 0.5
_LATELY_MS = 60_000
# Workers write their history every 0.2 s: after this, it has everything that ended before the halt.
_SETTLE_SECONDS = 0.5
_OUTCOMES = 100_000
_CHANGES = 100
_RESTORE_ATTEMPTS = 3
_RESTORED = "the dials are as they were"
_STAYS = 'the kill dial stays as it is now; see `slotgen audit`, then `slotgen resume --reason "…"`'


@dataclass(slots=True)
class HaltDrill:
    """One drill with `calls` of its own in flight and `jobs` probe jobs, on behalf of `actor`.

    `await_calls(number)` returns once that many calls, for which money is reserved, have begun.
    """

    session: OperatorSession
    actor: str
    jobs: int
    calls: int
    await_calls: Callable[[int], object] = lambda _: time.sleep(_BEGIN_SECONDS)
    _checks: list[DrillCheck] = field(default_factory=list)
    _halt_ms: float | None = None
    _cancelled: int = 0
    _own: set[str] = field(default_factory=set)

    def run(self) -> DrillRecord:
        """Halt, verify, restore.

        Raises:
            CliError: no worker is running.
            StoreUnavailable: Redis did not answer; stderr says what could not be restored.

        """
        workers = self.session.fleet.workers()
        if not workers:
            raise CliError(
                "no worker is running, so there is nothing to halt; start `slotgen worker`, or add --embedded"
            )
        self._rehearse(workers, self.session.dials.read())
        return DrillRecord(
            wall_ms=self.session.history.now_ms(),
            actor=self.actor,
            passed=all(each.passed for each in self._checks),
            halt_ms=self._halt_ms,
            workers=len(workers),
            cancelled_calls=self._cancelled,
            checks=tuple(self._checks),
        )

    def _rehearse(self, workers: list[WorkerInfo], before: DialValues) -> None:
        # An interruption raised just anywhere may be lost in a redis-py destructor, or leave a lock taken.
        with termination_held() as interruptible:
            try:
                with interruptible():
                    own = self._load()
                self._halt(workers)
                self._verify(interruptible, own)
            except BaseException:
                # Ctrl-C included: a drill that leaves the fleet halted would be an incident of its own.
                check = self._restore(before)
                if not check.passed:
                    say(check.seen, err=True)
                raise
            self._checks.append(self._restore(before))

    def _load(self) -> DrillJobs:
        """Start calls, if the dials let them through: as many as the spend cap covers."""
        session = self.session
        controls = Controls.parse(session.dials.read().raw, session.settings.ceilings)
        own = drill_jobs(controls, self.calls) if self.calls else DrillJobs(why="--calls 0")
        if not own.specs:
            return own
        account = RedisAccount.of_fleet(session.client, session.settings)
        held, deadline_mono = account.read().held, time.monotonic() + _ANSWER_SECONDS
        self._own = {send_probe(session.client, session.settings.namespace, each) for each in own.specs}
        results = [TASK_META(each) for each in self._own]
        while account.read().held <= held and time.monotonic() < deadline_mono:
            if session.client.exists(*results):
                return own
            time.sleep(_POLL_SECONDS)  # a plain key has nothing to await
        self.await_calls(len(own.specs))
        return own

    def _halt(self, workers: list[WorkerInfo]) -> None:
        listener, dials = self.session.fleet.listen(), self.session.dials
        engage = partial(dials.engage, self.actor, _COMMAND, "a rehearsal", _OUR_TRUE)
        done = halt(engage, lambda: workers, listener)
        answers = [done.confirmed[each.worker_id] for each in workers if each.worker_id in done.confirmed]
        self._cancelled = sum(each.calls for each in answers)
        self._checks.append(confirmation_check(len(workers), len(answers), done.ms))
        self._halt_ms = done.ms if len(answers) == len(workers) else None

    def _verify(self, interruptible: Callable[[], AbstractContextManager[None]], own: DrillJobs) -> None:
        with interruptible():
            time.sleep(_SETTLE_SECONDS)
        halted_wall_ms = self.session.history.now_ms()
        lately = self.session.history.since(halted_wall_ms - _LATELY_MS, _OUTCOMES)
        ended = [each for each in lately if each.task_id in self._own]
        self._checks.append(calls_check(self._cancelled, ended, own.why))
        probes = probe(self.session, self.jobs, opted_in=True, timeout_seconds=_ANSWER_SECONDS)
        # The outcomes of other producers' jobs count as well.
        with interruptible():
            time.sleep(_SETTLE_SECONDS)
        outcomes = self.session.history.since(halted_wall_ms, _OUTCOMES)
        self._checks.append(outcomes_check(outcomes, probes, self.jobs))

    def _restore(self, before: DialValues) -> DrillCheck:
        """Restore the kill switch; try again if Redis does not answer."""
        why = ""
        with termination_ignored():
            for _ in range(_RESTORE_ATTEMPTS):
                try:
                    restored, why = self._put_back(before)
                    return DrillCheck(_RESTORED, restored, why)
                except StoreUnavailable as error:
                    why = f"{error}; {_STAYS}"
                    time.sleep(1)
        return DrillCheck(_RESTORED, passed=False, seen=why)

    def _put_back(self, before: DialValues) -> tuple[bool, str]:
        dials = self.session.dials
        now = dials.read()
        since = [each for each in dials.audit(_CHANGES) if later(each, before.version)]
        # Of any dial: whoever changes one while the fleet is halted may count on its staying halted.
        if foreign := foreign_change(since, self.actor, _COMMAND):
            by = foreign.command if foreign.command != RAW_COMMAND else "redis-cli or the like"
            return False, f"{foreign.who} changed {foreign.dial} meanwhile ({by}); {_STAYS}"
        change = Change(DIAL, before.value(DIAL), self.actor, _COMMAND, "the rehearsal is over")
        try:
            dials.change(change, now.version)
        except DialsMoved:
            return False, f"somebody changed a dial at this moment; {_STAYS}"
        except AuditRefused as error:
            return False, f"Redis refused to write ({error}); {_STAYS}"
        restored = dials.read().raw == before.raw
        return restored, "byte for byte" if restored else _STAYS
