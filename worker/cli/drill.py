"""`slotgen drill`: pulls the brake for real, measures it, and puts everything back as it was."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.actor import Actor, named
from worker.cli.console import console, open_console
from worker.cli.dial_change import AsJson
from worker.cli.refusal import Refusal, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.operations.dials import DialsNow
    from tasks.operations.drill import Check, DrillRecord
    from tasks.operations.halting import Engaged
    from worker.cli.console import Console

_COMMAND = "slotgen drill"
_CONFIRM_SECONDS = 3.0
_OUTCOME_SECONDS = 15.0
# Workers write their history every 0.2 s: after this, what ended before the halt is in it.
_SETTLE_SECONDS = 0.5
_OUTCOMES = 100_000
_EMBEDDED_CALLS = 20


def drill(
    *,
    jobs: Annotated[int, typer.Option(min=1, max=100, help="Probe jobs to send after the halt.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the fleet halts for seconds.")] = False,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="On this machine alone, with a Redis and a worker of its own.")
    ] = False,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse the rollback: halt, measure, verify that only STUBs follow, restore the dials exactly.

    The probe jobs cost nothing, whatever happens. Exit 1 when the brake did not do what it must.
    """
    if embedded:
        with _embedded() as opened:
            record = _Drill(opened, named(actor), jobs).run()
    else:
        if not yes:
            typer.confirm("This halts the whole fleet for some seconds. Go on?", abort=True)
        with console() as opened:
            record = _Drill(opened, named(actor), jobs).run()
    if as_json:
        print_json(_document(record))
    else:
        typer.echo("\n".join(_lines(record)))
    if not record.passed:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Drill:
    """One rehearsal on an open console."""

    console: Console
    actor: str
    jobs: int
    checks: list[Check] = field(default_factory=list)
    _cancelled: int = 0

    def run(self) -> DrillRecord:
        """Pull the brake, look, restore; return the record that is also kept."""
        from tasks.operations.drill import DrillRecord  # noqa: PLC0415 - heavy imports wait for the command
        from worker.adapters.redis_drills import RedisDrills  # noqa: PLC0415

        workers = {each.worker_id for each in self.console.fleet.workers()}
        if not workers:
            raise Refusal(
                "no worker is running, so there is nothing to halt; start `slotgen worker`, or add --embedded"
            )
        before = self.console.dials.read()
        try:
            engaged, halt_ms = self._halt(workers)
            self._verify()
        finally:
            # Ctrl-C included: a drill that leaves the fleet halted would be an incident of its own.
            restored, why = self._restore(before)
        self._note_restored(restored=restored and engaged.recorded, why=why)
        record = DrillRecord(
            wall_ms=self.console.history.now_ms(),
            actor=self.actor,
            passed=all(each.passed for each in self.checks),
            halt_ms=halt_ms,
            workers=len(workers),
            cancelled_calls=self._cancelled,
            checks=tuple(self.checks),
        )
        RedisDrills(self.console.client, self.console.settings.namespace).add(record)
        return record

    def _halt(self, workers: set[str]) -> tuple[Engaged, float | None]:
        from tasks.operations.drill import confirmation_check  # noqa: PLC0415 - heavy imports wait for the command

        listener = self.console.fleet.listen()
        try:
            began_mono = time.monotonic()
            engaged = self.console.dials.engage(self.actor, _COMMAND, "a rehearsal")
            confirmed = listener.wait_for(workers, _CONFIRM_SECONDS)
            halt_ms = (time.monotonic() - began_mono) * 1000
        finally:
            listener.close()
        answers = [each for name, each in confirmed.items() if name in workers]
        self._cancelled = sum(each.calls for each in answers)
        self.checks.append(confirmation_check(len(workers), len(answers), halt_ms))
        return engaged, halt_ms if len(answers) == len(workers) else None

    def _verify(self) -> None:
        from tasks.operations.drill import outcomes_check  # noqa: PLC0415 - heavy imports wait for the command
        from worker.adapters.redis_probe import RedisProbe, probe_spec  # noqa: PLC0415

        time.sleep(_SETTLE_SECONDS)
        from_wall_ms = self.console.history.now_ms()
        probe = RedisProbe(self.console.client, self.console.settings.namespace)
        task_id = probe.send(probe_spec(self.jobs, opted_in=True))
        probe.results(task_id, _OUTCOME_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        outcomes = self.console.history.since(from_wall_ms, _OUTCOMES)
        probes = sum(each.task_id == task_id for each in outcomes)
        self.checks.append(outcomes_check(outcomes, probes, self.jobs))

    def _restore(self, before: DialsNow) -> tuple[bool, str]:
        """Bring the kill dial back to what it was, unless anyone else has touched a dial meanwhile."""
        from tasks.operations.dials import Change, Dial, DialsMoved  # noqa: PLC0415 - heavy imports wait for the command

        now = self.console.dials.read()
        since = [each for each in self.console.dials.audit(100) if _later(each.audit_id, before.version)]
        others = [each for each in since if each.command != _COMMAND or each.actor != self.actor]
        if others:
            return False, f"{others[0].actor} changed {others[0].dial} meanwhile; the brake stays on"
        change = Change(Dial.KILL, before.value(Dial.KILL), self.actor, _COMMAND, "the rehearsal is over")
        try:
            self.console.dials.change(change, now.version)
        except DialsMoved:
            return False, "somebody changed a dial at this moment; the brake stays on"
        return self.console.dials.read().raw == before.raw, "byte for byte"

    def _note_restored(self, *, restored: bool, why: str) -> None:
        from tasks.operations.drill import restored_check  # noqa: PLC0415 - heavy imports wait for the command

        self.checks.append(restored_check(restored=restored, why=why))


def _later(audit_id: str, than: str) -> bool:
    return _place(audit_id) > _place(than)


def _place(audit_id: str) -> tuple[int, int]:
    ms, _, number = audit_id.partition("-")
    return int(ms), int(number)


@contextmanager
def _embedded() -> Iterator[Console]:
    """Open the console of a system of our own, with calls in flight."""
    from worker.adapters.redis_probe import RedisProbe  # noqa: PLC0415
    from worker.dev.openai_stand_in import Behaviour  # noqa: PLC0415 - heavy imports wait for the command
    from worker.dev.specs import load_specs  # noqa: PLC0415
    from worker.dev.stack import stack  # noqa: PLC0415
    from worker.settings import load  # noqa: PLC0415

    with stack() as system:
        assert system.stand_in is not None
        system.stand_in.behave(Behaviour(delay_seconds=60))
        system.open_everything()
        probe = RedisProbe(system.client, "slotgen")
        for spec in load_specs()[:_EMBEDDED_CALLS]:
            probe.send(spec)
        system.stand_in.journal.wait_until(lambda counts: counts.in_flight >= _EMBEDDED_CALLS // 2)
        with open_console(load(redis_url=system.redis_url, namespace="slotgen")) as opened:
            yield opened


def _lines(record: DrillRecord) -> list[str]:
    colour = "green" if record.passed else "red"
    word = typer.style("PASS" if record.passed else "FAIL", fg=colour, bold=True)
    halted = "not confirmed by all" if record.halt_ms is None else f"confirmed after {record.halt_ms:.0f} ms"
    checks = (f"  {'yes' if each.passed else 'NO '}  {each.name}: {each.seen}" for each in record.checks)
    return [
        f"{word}: the halt was {halted}; {record.cancelled_calls} calls in flight were cancelled",
        *checks,
    ]


def _document(record: DrillRecord) -> dict[str, Any]:
    return {
        "passed": record.passed,
        "haltMs": record.halt_ms and round(record.halt_ms, 1),
        "workers": record.workers,
        "cancelledCalls": record.cancelled_calls,
        "checks": [{"name": each.name, "passed": each.passed, "seen": each.seen} for each in record.checks],
        "actor": record.actor,
    }
