"""`slotgen kill`: halts the fleet, or several."""

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasks.operations.fleet import cancelled_calls
from tasks.operations.timefmt import counted, milliseconds, moment
from worker.adapters.redis.keys import KILL
from worker.cli.support.errors import CliError
from worker.cli.support.options import Actor, AsJson, Each, duration, named, seconds, with_each
from worker.cli.support.terminal import fields, print_json, say, styled

if TYPE_CHECKING:
    from worker.halt.fleet_halt import Halt
    from worker.settings.settings import Settings

ORDER = 1


def kill(
    *,
    reason: Annotated[str, typer.Option(help="For the record; optional.")] = "",
    actor: Actor = None,
    keep_trying: Annotated[
        str,
        typer.Option(
            callback=duration,
            help="If the key cannot be set: try again for this long, repeating the message.",
        ),
    ] = "0s",
    each: Each = None,
    as_json: AsJson = False,
) -> None:
    """Halt the whole fleet now, including calls in flight. It asks no questions. `slotgen halt` is the same.

    If Redis refuses every write, a message halts the running workers, and the key is not set: exit 1.
    Exit 1 also if a living worker has not confirmed within 3 s. With --each, none of them waits for another.
    """
    from worker.cli.support.connection import load_settings_to_halt
    from worker.cli.support.halt import Who, halt_fleet, set_the_key
    from worker.cli.support.several import at_once, targets

    who, report = Who(named(actor), "slotgen kill", reason), _Report(silent=as_json)
    places, wait_seconds = targets(each, load_settings_to_halt), seconds(keep_trying)
    halts: dict[str, dict[str, Any]] = {place.name: {} for place in places}
    for place, halt in at_once(places, partial(halt_fleet, who)):
        if isinstance(halt, CliError) and not (each or wait_seconds):
            raise halt
        halts[place.name] = _document(halt, place.of)
        report.say(place.name, _lines(halts[place.name], place.of))
    unset = [place for place in places if not (halts[place.name]["keySet"] or place.problem)]
    if unset and wait_seconds:
        report.say("", [f"trying to set the key for {keep_trying}; Ctrl-C ends it"])
        with suppress(KeyboardInterrupt):
            for place, later in at_once(unset, partial(set_the_key, who, wait_seconds)):
                if later and not isinstance(later, CliError):
                    report.say(place.name, _later(halts[place.name], later, place.of))
        for place in unset:
            if not halts[place.name]["keySet"]:
                report.say(place.name, [f"{KILL(place.of.namespace)} is still NOT set"])
    missing = [name for name, halt in halts.items() if not _confirmed(halt)]
    if each:
        report.say("", _summary(halts, missing, with_each(each)))
        rows = [{"name": name} | halt for name, halt in halts.items()]
        report.end({"halted": not missing, "redis": rows})
    else:
        report.say("", _way_on(halts[""]))
        report.end(halts[""])
    if missing:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Report:
    """Tells a person what has happened as it happens: on stderr once stdout takes nothing more."""

    silent: bool
    said: list[str] = field(default_factory=list)
    broken: OSError | None = None

    def say(self, name: str, lines: list[str]) -> None:
        if name:
            lines = [f"{name}: " + lines[0], *("  " + line for line in lines[1:])]
        self.said += lines
        if self.silent:
            return
        try:
            say(*lines, err=self.broken is not None)
        except OSError as error:
            self.broken = error
            say(*lines, err=True)

    def end(self, document: dict[str, Any]) -> None:
        if self.broken:
            raise self.broken
        try:
            if self.silent:
                print_json(document)
        except OSError:
            # What the fleet does now must be known, whoever reads.
            say(*self.said, err=True)
            raise


def _document(halt: "Halt | CliError", settings: "Settings") -> dict[str, Any]:
    key = KILL(settings.namespace)
    if isinstance(halt, CliError):
        return {"halted": False, "key": key, "keySet": False, "error": str(halt)}
    by = halt.engaged
    return {
        "halted": True,
        "key": key,
        "by": by.by,
        "keySet": by.key_set,
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


def _before(before: Any) -> dict[str, Any] | None:
    return before and fields(before, "actor", "who", "command", "reason") | {"since": moment(before.wall_ms)}


def _confirmed(halt: dict[str, Any]) -> bool:
    return halt["keySet"] and not halt["unconfirmed"] and halt["confirmed"] >= halt["workers"]


def _lines(halt: dict[str, Any], settings: "Settings") -> list[str]:
    if not halt["halted"]:
        return [str(each) for each in halt["error"].split("\n")]
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
        f"within {settings.brake_grace_seconds:g} s, one that hangs is ended with `kill -9 {each['pid']}`"
        for each in halt["unconfirmed"]
        if not each["silent"]
    ]
    if unknown := halt["workers"] - halt["confirmed"] - len(halt["unconfirmed"]):
        lines.append(f"NOT CONFIRMED: {unknown} more that heard the message; see `slotgen status`")
    if not halt["recorded"]:
        lines.append("not recorded: Redis refused to write; note down who did this, and why")
    return lines


def _later(halt: dict[str, Any], later: "Halt", settings: "Settings") -> list[str]:
    """Note in `halt` that the key is set since, and return the lines for that."""
    if not halt["halted"]:
        del halt["error"]
        halt |= _document(later, settings)
        return _lines(halt, settings)
    halt |= {"keySet": True, "recorded": later.engaged.recorded}
    return [f"{halt['key']} is set now, and the fleet stays halted"]


def _summary(halts: dict[str, Any], missing: list[str], with_each: str) -> list[str]:
    sure = f"{len(halts) - len(missing)} of {len(halts)} confirmed"
    if not missing:
        return [sure, f'undo: slotgen resume{with_each} --reason "…"']
    again = f"try until all of them are: slotgen kill{with_each} --keep-trying 1h"
    return [sure + "; " + styled(f"NOT CONFIRMED: {', '.join(missing)}", "red", bold=True), again]


def _way_on(halt: dict[str, Any]) -> list[str]:
    if halt["keySet"]:
        return ['undo: slotgen resume --reason "…"']
    return [
        "a worker that starts or reconnects from now on does not know of this halt;",
        "keep this running until the key is set: slotgen kill --keep-trying 1h",
    ]
