"""One rehearsal of the halt on an open console: pulls the brake, looks, and puts everything back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from worker.cli.support.errors import CliError
from worker.cli.support.signals import termination_held, termination_ignored

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tasks.operations.changes.dials import DialValues
    from tasks.operations.drill import Check, DrillRecord
    from worker.cli.support.operator_session import OperatorSession

    Interruptible = Callable[[], AbstractContextManager[None]]

_COMMAND = "slotgen drill"
# The gates read it as true, blanks apart; a plain `SET … true` by somebody else can be told from it.
_OUR_TRUE = b" true "
_CONFIRM_SECONDS = 3.0
_ANSWER_SECONDS = 15.0
# Workers write their history every 0.2 s: after this, what ended before the halt is in it.
_SETTLE_SECONDS = 0.5
_OUTCOMES = 100_000
_CHANGES = 100
_RESTORE_ATTEMPTS = 3
_STAYS = 'the kill dial stays as it is now; see `slotgen audit`, then `slotgen resume --reason "…"`'


@dataclass(slots=True)
class HaltDrill:
    """One drill with `jobs` probe jobs, in the name of `actor`."""

    console: OperatorSession
    actor: str
    jobs: int
    _checks: list[Check] = field(default_factory=list)
    _cancelled: int = 0

    def run(self) -> DrillRecord:
        """Pull the brake, look, restore; return the record that is also kept.

        Raises:
            Refusal: no worker is running.
            StoreUnavailable: Redis did not answer; what could not be put back is said on stderr.

        """
        from worker.adapters.redis.console.drills import RedisDrills  # noqa: PLC0415 - heavy imports wait for the command

        workers = {each.worker_id for each in self.console.fleet.workers()}
        if not workers:
            raise CliError(
                "no worker is running, so there is nothing to halt; start `slotgen worker`, or add --embedded"
            )
        before = self.console.dials.read()
        halt_ms = self._rehearse(workers, before)
        record = self._record(len(workers), halt_ms)
        RedisDrills(self.console.client, self.console.settings.namespace).add(record)
        return record

    def _rehearse(self, workers: set[str], before: DialValues) -> float | None:
        # Raised anywhere, an interruption may be lost in a destructor of redis-py's, or leave a lock taken.
        with termination_held() as interruptible:
            try:
                halt_ms = self._halt(workers)
                self._verify(interruptible)
            except BaseException:
                # Ctrl-C included: a drill that leaves the fleet halted would be an incident of its own.
                check = self._restore(before)
                if not check.passed:
                    typer.echo(check.seen, err=True)
                raise
            self._checks.append(self._restore(before))
        return halt_ms

    def _halt(self, workers: set[str]) -> float | None:
        from tasks.operations.drill import confirmation_check  # noqa: PLC0415 - heavy imports wait for the command

        listener = self.console.fleet.listen()
        try:
            began_mono = time.monotonic()
            self.console.dials.engage(self.actor, _COMMAND, "a rehearsal", _OUR_TRUE)
            confirmed = listener.wait_for(workers, _CONFIRM_SECONDS)
            halt_ms = (time.monotonic() - began_mono) * 1000
        finally:
            listener.close()
        answers = [each for name, each in confirmed.items() if name in workers]
        self._cancelled = sum(each.calls for each in answers)
        self._checks.append(confirmation_check(len(workers), len(answers), halt_ms))
        return halt_ms if len(answers) == len(workers) else None

    def _verify(self, interruptible: Interruptible) -> None:
        from tasks.operations.drill import outcomes_check  # noqa: PLC0415 - heavy imports wait for the command
        from worker.cli.support.probing import probe  # noqa: PLC0415

        with interruptible():
            time.sleep(_SETTLE_SECONDS)
        halted_wall_ms = self.console.history.now_ms()
        probes = probe(self.console, self.jobs, opted_in=True, timeout_seconds=_ANSWER_SECONDS)
        # What other producers' jobs become is looked at as well.
        with interruptible():
            time.sleep(_SETTLE_SECONDS)
        outcomes = self.console.history.since(halted_wall_ms, _OUTCOMES)
        self._checks.append(outcomes_check(outcomes, probes, self.jobs))

    def _restore(self, before: DialValues) -> Check:
        """Put the kill dial back, once more and again when Redis does not answer."""
        from tasks.errors import StoreUnavailable  # noqa: PLC0415 - heavy imports wait for the command
        from tasks.operations.drill import restored_check  # noqa: PLC0415

        why = ""
        with termination_ignored():
            for _ in range(_RESTORE_ATTEMPTS):
                try:
                    return self._put_back(before)
                except StoreUnavailable as error:
                    why = str(error)
                    time.sleep(1)
        return restored_check(restored=False, why=f"{why}; {_STAYS}")

    def _put_back(self, before: DialValues) -> Check:
        from gates.kill_switch import DIAL  # noqa: PLC0415 - heavy imports wait for the command
        from tasks.operations.changes.dials import AuditRefused, Change, DialsMoved  # noqa: PLC0415
        from tasks.operations.drill import foreign_change, later, restored_check  # noqa: PLC0415

        now = self.console.dials.read()
        since = [each for each in self.console.dials.audit(_CHANGES) if later(each.audit_id, before.version)]
        # Of any dial: whoever changes one while the brake is on may count on its being on.
        if foreign := foreign_change(since, self.actor, _COMMAND):
            why = f"{foreign.actor} changed {foreign.dial} meanwhile ({foreign.command}); {_STAYS}"
            return restored_check(restored=False, why=why)
        change = Change(DIAL, before.value(DIAL), self.actor, _COMMAND, "the rehearsal is over")
        try:
            self.console.dials.change(change, now.version)
        except DialsMoved:
            return restored_check(restored=False, why=f"somebody changed a dial at this moment; {_STAYS}")
        except AuditRefused as error:
            return restored_check(restored=False, why=f"Redis refused to write ({error}); {_STAYS}")
        restored = self.console.dials.read().raw == before.raw
        return restored_check(restored=restored, why="byte for byte" if restored else _STAYS)

    def _record(self, workers: int, halt_ms: float | None) -> DrillRecord:
        from tasks.operations.drill import DrillRecord  # noqa: PLC0415 - heavy imports wait for the command

        return DrillRecord(
            wall_ms=self.console.history.now_ms(),
            actor=self.actor,
            passed=all(each.passed for each in self._checks),
            halt_ms=halt_ms,
            workers=workers,
            cancelled_calls=self._cancelled,
            checks=tuple(self._checks),
        )
