"""`slotgen drill`: pulls the brake for real, measures it, and puts everything back as it was."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.actor import Actor, named
from worker.cli.support.connection import load_settings
from worker.cli.support.dial_command import AsJson
from worker.cli.support.errors import CliError, print_json
from worker.cli.support.operator_session import console, open_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.operations.drill import DrillRecord
    from worker.cli.support.operator_session import OperatorSession
    from worker.dev.stack import Stack

_EMBEDDED_CALLS = 20


class DrillTarget(StrEnum):
    """What can be rehearsed."""

    BRAKE = "brake"
    GUARD = "guard"


def drill(
    target: Annotated[DrillTarget, typer.Argument(help="What to rehearse.")] = DrillTarget.BRAKE,
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

    The probe jobs cost nothing, whatever happens. `drill guard` tries the guard on a brake of its own, and
    halts nobody. Exit 1 when the brake or the guard did not do what it must.
    """
    from worker.cli.support.guard_drill import GuardDrill  # noqa: PLC0415 - heavy imports wait for the command
    from worker.cli.support.halt_drill import HaltDrill  # noqa: PLC0415

    if target is DrillTarget.BRAKE and not (embedded or yes):
        typer.confirm("This halts the whole fleet for some seconds. Go on?", abort=True)
    with _embedded() if embedded else console() as opened:
        drill = (
            GuardDrill(opened, named(actor))
            if target is DrillTarget.GUARD
            else HaltDrill(opened, named(actor), jobs)
        )
        record = drill.run()
    if as_json:
        print_json({"target": target.value} | _document(record))
    else:
        typer.echo("\n".join(_lines(record, target)))
    if not record.passed:
        raise typer.Exit(1)


@contextmanager
def _embedded() -> Iterator[OperatorSession]:
    """Open the console of a system of our own, with calls in flight."""
    from worker.dev.redis_server.binary import EmbeddedRedisError  # noqa: PLC0415 - heavy imports wait for the command
    from worker.dev.stack import WorkerDied, stack  # noqa: PLC0415

    # Before anything is started: what is wrong with the environment is said at once.
    settings = load_settings(redis_url="redis://127.0.0.1", namespace="slotgen")
    try:
        with stack() as system:
            _load(system)
            with open_console(settings.model_copy(update={"redis_url": system.redis_url})) as opened:
                yield opened
    except (EmbeddedRedisError, WorkerDied, TimeoutError) as error:
        raise CliError(f"the embedded drill could not go on: {error}") from None


def _load(system: Stack) -> None:
    """Open every dial, and return with calls in flight that would take a minute."""
    from worker.adapters.redis.console.probe import RedisProbe  # noqa: PLC0415 - heavy imports wait for the command
    from worker.dev.demo.specs import load_specs  # noqa: PLC0415
    from worker.dev.fake_openai.server import Behaviour  # noqa: PLC0415

    assert system.fake_openai is not None  # a stack without --real has one
    system.fake_openai.behave(Behaviour(delay_seconds=60))
    system.open_everything()
    producer = RedisProbe(system.client, "slotgen")
    for spec in load_specs()[:_EMBEDDED_CALLS]:
        producer.send(spec)
    system.fake_openai.journal.wait_until(lambda counts: counts.in_flight >= _EMBEDDED_CALLS // 2)


def _lines(record: DrillRecord, target: DrillTarget) -> list[str]:
    colour = "green" if record.passed else "red"
    word = typer.style("PASS" if record.passed else "FAIL", fg=colour, bold=True)
    checks = (f"  {'yes' if each.passed else 'NO '}  {each.name}: {each.seen}" for each in record.checks)
    return [
        f"{word}: {_headline(record) if target is DrillTarget.BRAKE else 'the guard, on a brake of its own'}",
        *checks,
    ]


def _headline(record: DrillRecord) -> str:
    halted = "not confirmed by all" if record.halt_ms is None else f"confirmed after {record.halt_ms:.0f} ms"
    return f"the halt was {halted}; {record.cancelled_calls} calls in flight were cancelled"


def _document(record: DrillRecord) -> dict[str, Any]:
    return {
        "passed": record.passed,
        "haltMs": record.halt_ms and round(record.halt_ms, 1),
        "workers": record.workers,
        "cancelledCalls": record.cancelled_calls,
        "checks": [{"name": each.name, "passed": each.passed, "seen": each.seen} for each in record.checks],
        "actor": record.actor,
    }
