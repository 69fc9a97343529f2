"""`slotgen kill`: halts the fleet, in one word."""

from typing import Annotated, Any

import typer

from worker.adapters.redis.keys import KILL
from worker.cli.support.options import Actor, AsJson, named
from worker.cli.support.terminal import answer, styled

ORDER = 1


def kill(
    *,
    reason: Annotated[str, typer.Option(help="For the record; none is needed.")] = "",
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Halt the whole fleet now, calls in flight included. No question is asked.

    Exit 1 when the kill switch could not be set, or a living worker has not confirmed within 3 s.
    """
    from worker.cli.support.halt import halt_fleet

    settings, halt = halt_fleet(named(actor), "slotgen kill", reason)
    document = {
        "halted": True,
        "key": KILL(settings.namespace),
        "by": halt.engaged.by,
        "recorded": halt.engaged.recorded,
        "workers": len(halt.workers),
        "confirmed": len(halt.confirmed),
        "cancelledCalls": sum(each.calls for each in halt.confirmed.values()),
        "milliseconds": round(halt.ms, 1),
        "unconfirmed": [
            {"host": each.host, "pid": each.pid, "workerId": each.worker_id}
            for each in halt.workers
            if each.worker_id not in halt.confirmed
        ],
    }
    answer(document, _lines(document, settings.brake_grace_seconds), as_json=as_json)
    if document["unconfirmed"]:
        raise typer.Exit(1)


def _lines(halt: dict[str, Any], grace_seconds: float) -> list[str]:
    how = "is true"
    if halt["by"] == "DEL":
        how = "is deleted, for Redis is out of memory and refuses SET; an absent key halts as well"
    lines: list[str] = [styled("HALTED", "red", bold=True) + f": {halt['key']} {how}"]
    if halt["workers"]:
        lines.append(
            f"{halt['confirmed']} of {halt['workers']} workers confirmed after {halt['milliseconds']:.0f} ms"
            f"; {halt['cancelledCalls']} calls in flight were cancelled"
        )
    else:
        lines.append("no worker is running; any that starts is halted")
    lines += [
        f"NOT CONFIRMED: {each['host']} pid {each['pid']}; a worker that cannot reach Redis halts by itself "
        f"within {grace_seconds:g} s, one that hangs is ended with `kill -9 {each['pid']}`"
        for each in halt["unconfirmed"]
    ]
    if not halt["recorded"]:
        lines.append("not recorded: Redis refused to write; note down who did this, and why")
    return [*lines, 'undo: slotgen resume --reason "…"']
