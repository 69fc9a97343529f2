"""`slotgen drill`: halts for real, measures the halt, and restores everything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from tasks.operations.drill import DrillRecord
from tasks.operations.fleet import cancelled_calls
from tasks.operations.timefmt import counted, milliseconds
from worker.adapters.redis.console.drills import RedisDrills
from worker.cli.support.connection import load_settings
from worker.cli.support.errors import refuses
from worker.cli.support.guard_drill import guard_drill
from worker.cli.support.halt_drill import HaltDrill
from worker.cli.support.operator_session import OperatorSession, open_session
from worker.cli.support.options import Actor, AsJson, named
from worker.cli.support.terminal import answer, fields, styled
from worker.dev.redis_server.binary import EmbeddedRedisError
from worker.dev.stack import WorkerDied, stack

_EMBEDDED_CALLS = 20


def drill(
    target: Annotated[
        Literal["brake", "guard"], typer.Argument(help="What to rehearse.", metavar="brake|guard")
    ] = "brake",
    *,
    calls: Annotated[
        int,
        typer.Option(min=0, max=20, help="How many of its own calls to have in flight; each is paid for."),
    ] = 3,
    jobs: Annotated[int, typer.Option(min=1, max=100, help="Probe jobs to send after the halt.")] = 20,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; the fleet is halted for a few seconds.")
    ] = False,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="On this machine only, with its own Redis and worker.")
    ] = False,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse the rollback: halt, measure, check that only STUBs follow, restore the dials exactly.

    Its calls belong to jobs named drill-…, count towards the spend cap, and are cancelled by the halt. If the
    dials let none through, it says that it proved nothing. The probe jobs never cost anything. `drill guard`
    tries the guard on its own kill switch, and halts nothing. Exit 1 if the drill is not passed.
    """
    if target == "brake" and not (embedded or yes):
        what = (
            f"This halts the whole fleet for some seconds, {counted(calls, 'paid call')} of its own included"
        )
        typer.confirm(f"{what}. Go on?", abort=True)
    with _embedded() if embedded else _fleet() as (session, how):
        if target == "guard":
            record = guard_drill(session, named(actor))
        else:
            record = HaltDrill(session, named(actor), jobs, **({"calls": calls} | how)).run()
        if not record.proves_nothing:
            RedisDrills(session.client, session.settings.namespace, target).add(record)
    document = fields(record, "passed", "workers", "cancelled_calls", "actor") | {
        "target": target,
        "provedNothing": record.proves_nothing,
        "haltMs": record.halt_ms and round(record.halt_ms, 1),
        "checks": [fields(each, "name", "passed", "seen") for each in record.checks],
    }
    answer(document, _lines(record, target), as_json=as_json)
    if not record.passed:
        raise typer.Exit(1)


@contextmanager
def _fleet() -> Iterator[tuple[OperatorSession, dict[str, Any]]]:
    with open_session() as session:
        yield session, {}


@contextmanager
def _embedded() -> Iterator[tuple[OperatorSession, dict[str, Any]]]:
    """Open the stores of a system of our own, whose dials are open and whose calls would take a minute."""
    # Before anything is started: what is wrong with the environment is said at once.
    settings = load_settings(redis_url="redis://127.0.0.1", namespace="slotgen")
    broken = (EmbeddedRedisError, WorkerDied, TimeoutError)
    with refuses(*broken, before="the embedded drill could not go on: "), stack() as system:
        assert system.fake_openai is not None  # a stack without --real has one
        system.fake_openai.delay_seconds = 60
        system.open_everything()
        how = {"calls": _EMBEDDED_CALLS, "await_calls": system.fake_openai.wait_for_calls}
        with open_session(settings.model_copy(update={"redis_url": system.redis_url})) as session:
            yield session, how


def _lines(record: DrillRecord, target: str) -> list[str]:
    colour = "green" if record.passed else "red"
    verdict = "PASS" if record.passed else "PROVED NOTHING" if record.proves_nothing else "FAIL"
    word = styled(verdict, colour, bold=True)
    checks: Iterator[str] = (
        f"  {'yes' if each.passed else 'NO '}  {each.name}: {each.seen}" for each in record.checks
    )
    if target == "guard":
        return [word + ": the guard, on a kill switch of its own", *checks]
    halted = (
        "not confirmed by all"
        if record.halt_ms is None
        else f"confirmed after {milliseconds(record.halt_ms)}"
    )
    cancelled = cancelled_calls(record.cancelled_calls)
    lines = [word + f": the halt was {halted}; {cancelled}", *checks]
    if record.proves_nothing:
        lines.append("to see calls cancelled, on a system of its own: slotgen drill --embedded")
    return lines
