"""`slotgen kill`: halts the fleet."""

from typing import Annotated, Any

import typer

from tasks.operations.fleet import cancelled_calls
from tasks.operations.timefmt import counted, milliseconds, moment
from worker.adapters.redis.keys import KILL
from worker.cli.support.options import Actor, AsJson, duration, named, seconds
from worker.cli.support.terminal import answer, fields, say, styled

ORDER = 1


def kill(
    *,
    reason: Annotated[str, typer.Option(help="For the record; optional.")] = "",
    actor: Actor = None,
    keep_trying: Annotated[
        str,
        typer.Option(
            callback=duration,
            help="If Redis refuses every write: try to set the key for this long, repeating the message.",
        ),
    ] = "0s",
    as_json: AsJson = False,
) -> None:
    """Halt the whole fleet now, including calls in flight. It asks no questions. `slotgen halt` is the same.

    If Redis refuses every write, a message halts the running workers, and the key is not set: exit 1.
    Exit 1 also if a living worker has not confirmed within 3 s.
    """
    from worker.cli.support.halt import halt_fleet, set_the_key

    who = named(actor), "slotgen kill", reason
    settings, halt = halt_fleet(*who)
    by, unset = halt.engaged, not halt.engaged.key_set
    document: dict[str, Any] = {
        "halted": True,
        "key": KILL(settings.namespace),
        "by": by.by,
        "keySet": not unset,
        "refusal": by.refusal or None,
        "recorded": by.recorded,
        "haltedBefore": _before(halt.before),
        "workers": halt.number,
        "confirmed": len(halt.confirmed),
        "cancelledCalls": sum(each.calls for each in halt.confirmed.values()),
        "milliseconds": round(halt.ms, 1),
        "unconfirmed": [
            {"host": each.host, "pid": each.pid, "workerId": each.worker_id, "silent": each.silence}
            for each in halt.workers
            if each.worker_id not in halt.confirmed
        ],
    }
    lines = _lines(document, settings.brake_grace_seconds)
    if unset and (wait_seconds := seconds(keep_trying)):
        if not as_json:
            answer(
                document, [*lines, f"trying to set the key for {keep_trying}; Ctrl-C ends it"], as_json=False
            )
        try:
            later = set_the_key(*who, wait_seconds)
        except KeyboardInterrupt:
            later = None
        unset = later is None
        lines = [
            f"{document['key']} is {'still NOT set' if unset else 'set now, and the fleet stays halted'}"
        ]
        document |= {"keySet": not unset, "recorded": bool(later and later.recorded)}
    try:
        answer(document, [*lines, *_way_on(document)], as_json=as_json)
    except OSError:
        # What the fleet does now must be known, whoever reads.
        say(*lines, err=True)
        raise
    if unset or document["unconfirmed"] or document["confirmed"] < document["workers"]:
        raise typer.Exit(1)


def _before(before: Any) -> dict[str, Any] | None:
    return before and fields(before, "actor", "who", "command", "reason") | {"since": moment(before.wall_ms)}


def _lines(halt: dict[str, Any], grace_seconds: float) -> list[str]:
    how = {
        "SET": f"{halt['key']} is true",
        "DEL": f"{halt['key']} is deleted; an absent key halts as well",
        "PUBLISH": f"by a message to the workers that run; {halt['key']} is NOT SET",
    }[halt["by"]]
    lines: list[str] = [styled("HALTED", "red", bold=True) + f": {how}"]
    lines += [each["silent"] for each in halt["unconfirmed"] if each["silent"]]
    if before := halt["haltedBefore"]:
        why = f": {before['reason']}" if before["reason"] else ""
        lines.append(f"already halted by {before['who']} since {before['since']}{why}; that stays on record")
    if halt["refusal"]:
        lines.append(f"why not set: {halt['refusal']}")
    if halt["workers"]:
        lines.append(
            f"{counted(halt['confirmed'], 'worker', of=halt['workers'])} confirmed after "
            f"{milliseconds(halt['milliseconds'])}; {cancelled_calls(halt['cancelledCalls'])}"
        )
    elif halt["keySet"]:
        lines.append("no worker is running; any that starts is halted")
    else:
        lines.append("NO WORKER HEARD IT: none runs, or they follow another Redis than this one")
    lines += [
        f"NOT CONFIRMED: {each['host']} pid {each['pid']}; a worker that cannot reach Redis halts by itself "
        f"within {grace_seconds:g} s, one that hangs is ended with `kill -9 {each['pid']}`"
        for each in halt["unconfirmed"]
        if not each["silent"]
    ]
    if unknown := halt["workers"] - halt["confirmed"] - len(halt["unconfirmed"]):
        lines.append(f"NOT CONFIRMED: {unknown} more that heard the message; see `slotgen status`")
    if not halt["recorded"]:
        lines.append("not recorded: Redis refused to write; note down who did this, and why")
    return lines


def _way_on(halt: dict[str, Any]) -> list[str]:
    if halt["keySet"]:
        return ['undo: slotgen resume --reason "…"']
    return [
        "a worker that starts or reconnects from now on does not know of this halt;",
        "keep this running until the key is set: slotgen kill --keep-trying 1h",
    ]
