"""`slotgen kill`: the emergency brake, in one word."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.adapters.redis.keys import KILL
from worker.cli.support.actor import Actor, named
from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError, print_json

if TYPE_CHECKING:
    from tasks.operations.changes.halting import Confirmation, Engaged
    from tasks.operations.fleet import WorkerInfo
    from worker.adapters.redis.console.fleet import HaltListener, RedisFleet
    from worker.settings.settings import Settings

ORDER = 1

_CONFIRM_SECONDS = 3.0


def kill(
    *,
    reason: Annotated[str, typer.Option(help="For the record; none is needed.")] = "",
    actor: Actor = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Halt the whole fleet now, calls in flight included. No question is asked.

    Exit 1 when the brake could not be pulled, or a living worker has not confirmed within 3 s.
    """
    from tasks.errors import StoreUnavailable  # noqa: PLC0415 - heavy imports wait for the command
    from worker.adapters.redis.console.fleet import RedisFleet  # noqa: PLC0415
    from worker.adapters.redis.console.kill_switch_lever import pull  # noqa: PLC0415

    settings = load_settings()
    with open_redis(settings) as client:
        fleet = RedisFleet(client, settings.namespace)
        listener, workers = _ears(fleet)
        began_mono = time.monotonic()
        try:
            engaged = pull(
                client, settings.namespace, actor=named(actor), command="slotgen kill", reason=reason
            )
        except StoreUnavailable as error:
            raise CliError(_unreachable(settings, str(error))) from None
        confirmed = _confirmations(listener, workers)
        ms = (time.monotonic() - began_mono) * 1000
    document = _document(settings, engaged, workers, confirmed, ms)
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(_lines(settings, document)))
    if document["unconfirmed"]:
        raise typer.Exit(1)


def _ears(fleet: RedisFleet) -> tuple[HaltListener | None, list[WorkerInfo]]:
    """Return a listener and the workers to hear from; neither may keep the brake from being pulled."""
    from tasks.errors import StoreUnavailable  # noqa: PLC0415 - heavy imports wait for the command

    try:
        return fleet.listen(), fleet.workers()
    except StoreUnavailable:
        return None, []


def _confirmations(listener: HaltListener | None, workers: list[WorkerInfo]) -> dict[str, Confirmation]:
    from tasks.errors import StoreUnavailable  # noqa: PLC0415 - heavy imports wait for the command

    if listener is None:
        return {}
    try:
        return dict(listener.wait_for({each.worker_id for each in workers}, _CONFIRM_SECONDS))
    except StoreUnavailable:
        return dict(listener.confirmed)
    finally:
        listener.close()


def _document(
    settings: Settings,
    engaged: Engaged,
    workers: list[WorkerInfo],
    confirmed: dict[str, Confirmation],
    ms: float,
) -> dict[str, Any]:
    return {
        "halted": True,
        "key": KILL(settings.namespace),
        "by": engaged.by,
        "recorded": engaged.recorded,
        "workers": len(workers),
        "confirmed": len(confirmed),
        "cancelledCalls": sum(each.calls for each in confirmed.values()),
        "milliseconds": round(ms, 1),
        "unconfirmed": [
            {"host": each.host, "pid": each.pid, "workerId": each.worker_id}
            for each in workers
            if each.worker_id not in confirmed
        ],
    }


def _lines(settings: Settings, told: dict[str, Any]) -> list[str]:
    key = told["key"]
    lines = [typer.style("HALTED", bold=True, fg="red") + f": {_how(told['by'], key)}"]
    lines.append(_answers(told))
    lines.extend(_silence(each, settings.brake_grace_seconds) for each in told["unconfirmed"])
    if not told["recorded"]:
        lines.append("not recorded: Redis refused to write; note down who did this, and why")
    lines.append('undo: slotgen resume --reason "…"')
    return lines


def _answers(told: dict[str, Any]) -> str:
    if not told["workers"]:
        return "no worker is running; any that starts finds the brake on"
    confirmed = f"{told['confirmed']} of {told['workers']} workers confirmed"
    cancelled = f"{told['cancelledCalls']} calls in flight were cancelled"
    return f"{confirmed} after {told['milliseconds']:.0f} ms; {cancelled}"


def _silence(worker: dict[str, Any], grace_seconds: float) -> str:
    return (
        f"NOT CONFIRMED: {worker['host']} pid {worker['pid']}; a worker that cannot reach Redis halts by "
        f"itself within {grace_seconds:g} s, one that hangs is ended with `kill -9 {worker['pid']}`"
    )


def _how(by: str, key: str) -> str:
    if by == "DEL":
        return f"{key} is deleted, for Redis is out of memory and refuses SET; an absent key halts as well"
    return f"{key} is true"


def _unreachable(settings: Settings, error: str) -> str:
    return (
        f"NOT HALTED BY THIS COMMAND: {error}.\n"
        f"A worker that cannot reach it either halts by itself within {settings.brake_grace_seconds:g} s. "
        f"For those that can: try again, run `redis-cli SET {KILL(settings.namespace)} true` on the Redis "
        "machine, or stop the workers (SIGTERM)."
    )
