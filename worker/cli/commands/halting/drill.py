"""`slotgen drill`: halts for real, measures it, and puts everything back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from tasks.operations.drill import DrillRecord
from worker.adapters.redis.console.drills import RedisDrills
from worker.adapters.redis.console.probe import send_probe
from worker.cli.support.connection import load_settings
from worker.cli.support.errors import refuses
from worker.cli.support.guard_drill import guard_drill
from worker.cli.support.halt_drill import HaltDrill
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import Actor, AsJson, named
from worker.cli.support.terminal import answer, fields, styled
from worker.dev.demo.specs import load_specs
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.stack import Stack, WorkerDied, stack

_EMBEDDED_CALLS = 20


def drill(
    target: Annotated[Literal["brake", "guard"], typer.Argument(help="What to rehearse.")] = "brake",
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

    The probe jobs cost nothing, whatever happens. `drill guard` tries the guard on a kill switch of its own,
    and halts nothing. Exit 1 when the halt or the guard did not do what it must.
    """
    if target == "brake" and not (embedded or yes):
        typer.confirm("This halts the whole fleet for some seconds. Go on?", abort=True)
    with _embedded() if embedded else open_session() as session:
        if target == "guard":
            record = guard_drill(session, named(actor))
        else:
            record = HaltDrill(session, named(actor), jobs).run()
        RedisDrills(session.client, session.settings.namespace, target).add(record)
    document = fields(record, "passed", "workers", "cancelled_calls", "actor") | {
        "target": target,
        "haltMs": record.halt_ms and round(record.halt_ms, 1),
        "checks": [fields(each, "name", "passed", "seen") for each in record.checks],
    }
    answer(document, _lines(record, target), as_json=as_json)
    if not record.passed:
        raise typer.Exit(1)


@contextmanager
def _embedded() -> Iterator[OperatorSession]:
    """Open the stores of a system of our own, with calls in flight."""
    # Before anything is started: what is wrong with the environment is said at once.
    settings = load_settings(redis_url="redis://127.0.0.1", namespace="slotgen")
    broken = (EmbeddedRedisError, WorkerDied, TimeoutError)
    with refuses(*broken, before="the embedded drill could not go on: "), stack() as system:
        _load(system)
        with open_session(settings.model_copy(update={"redis_url": system.redis_url})) as session:
            yield session


def _load(system: Stack) -> None:
    """Open every dial, and return with calls in flight that would take a minute."""
    assert system.fake_openai is not None  # a stack without --real has one
    system.fake_openai.delay_seconds = 60
    system.open_everything()
    for spec in load_specs()[:_EMBEDDED_CALLS]:
        send_probe(system.client, "slotgen", spec)
    system.fake_openai.wait_for_calls(_EMBEDDED_CALLS // 2)


def _lines(record: DrillRecord, target: str) -> list[str]:
    colour = "green" if record.passed else "red"
    word = styled("PASS" if record.passed else "FAIL", colour, bold=True)
    checks: Iterator[str] = (
        f"  {'yes' if each.passed else 'NO '}  {each.name}: {each.seen}" for each in record.checks
    )
    if target == "guard":
        return [word + ": the guard, on a kill switch of its own", *checks]
    halted = "not confirmed by all" if record.halt_ms is None else f"confirmed after {record.halt_ms:.0f} ms"
    cancelled = f"{record.cancelled_calls} calls in flight were cancelled"
    return [word + f": the halt was {halted}; {cancelled}", *checks]
