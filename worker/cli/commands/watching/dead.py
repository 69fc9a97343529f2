"""`slotgen dead`: the rejected messages, why they were rejected, and the way back."""

import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table

from tasks.generate.intake import MessageLimits, Rejected, inspect, readable
from tasks.operations.timefmt import ago, counted, moment
from tasks.ports import DeadLetter
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.cli.support.console import ContentConsole
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer, fields, say, text_of

app = typer.Typer(help="List, show, replay or drop rejected messages.", no_args_is_help=True)
_EXAMPLES = 5
_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def _unknown(dead_id: str) -> CliError:
    return CliError(f"there is no dead letter {dead_id!r}; see `slotgen dead list`")


def _known_form(dead_id: str) -> str:
    if not _STREAM_ID.fullmatch(dead_id):
        raise _unknown(dead_id)
    return dead_id


_DeadId = Annotated[
    str,
    typer.Argument(help="The id that `slotgen dead list` shows.", metavar="ID", callback=_known_form),
]
_MaybeId = Annotated[
    str | None,
    typer.Argument(
        help="The id that `slotgen dead list` shows.",
        metavar="ID",
        callback=lambda value: value and _known_form(value),
    ),
]
_Reason = Annotated[
    str, typer.Option(help="Instead of an ID: all messages rejected for this reason.", metavar="REASON")
]
_All = Annotated[bool, typer.Option("--all", help="Instead of an ID: all messages, or all with --reason.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask if there are several.")]


@app.command("list")
def list_dead(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 15,
    *,
    reason: Annotated[str, typer.Option(help="Only those rejected for this reason.", metavar="REASON")] = "",
    as_json: AsJson = False,
) -> None:
    """List rejected messages, newest first, one line each."""
    with open_session() as session:
        store = session.dead_letters
        letters = store.list(limit) if not reason else [*deque(_chosen(store, None, reason), limit)][::-1]
        total, now_wall_ms = store.count(), session.history.now_ms()
    if as_json or not letters:
        none = f"no dead letters{f' of the reason {reason}' if reason else ''}"
        answer({"total": total, "dead": list(map(_summary, letters))}, [none], as_json=as_json)
        return
    table = Table("id", "rejected", "reason", box=None, padding=(0, 1), header_style="dim", expand=True)
    table.add_column("problem", no_wrap=True, ratio=1)
    for each in letters:
        table.add_row(
            each.dead_id, ago(now_wall_ms - each.rejected_wall_ms), each.reason, _one_line(each.problem)
        )
    ContentConsole().print(table)
    shown = "" if len(letters) == total else f"{len(letters)} of "
    say(f"{shown}{counted(total, 'dead letter')}; next: slotgen dead show {letters[0].dead_id}")


@app.command()
def show(dead_id: _DeadId, *, as_json: AsJson = False) -> None:
    """Show one rejected message in full, as the producer sent it."""
    with open_session() as session:
        letter, now_wall_ms = session.dead_letters.show(dead_id), session.history.now_ms()
        limits = MessageLimits(session.settings.max_message_bytes)
    if letter is None:
        raise _unknown(dead_id)
    spec = readable(letter.message, limits)
    whole = _summary(letter) | {"queue": letter.queue, "message": text_of(letter.message), "spec": spec}
    if letter.sha256:
        whole |= {"sha256": letter.sha256, "replayable": False, "why": _not_whole(letter)}
    # Of what is no JSON not even the lines are taken from it.
    content = (
        [text_of(letter.message)]
        if spec is None
        else json.dumps(spec, indent=2, ensure_ascii=False).split("\n")
    )
    rejected = f"rejected {ago(now_wall_ms - letter.rejected_wall_ms)} from the queue {letter.queue}"
    task = f"task {letter.task_id}" if letter.task_id else "its task has no id"
    lines = [
        f"{letter.reason}: {_one_line(letter.problem)}",
        f"{rejected}; {letter.size_bytes} bytes; {task}",
        f"if it is replayed, it {_forecast(letter, limits) or 'will be taken'}",
        "what was sent:" if spec is not None else "what was sent, which is no JSON that a worker can read:",
        *(f"  {each}" for each in content),
    ]
    answer(whole, lines, as_json=as_json)


@app.command()
def replay(
    dead_id: _MaybeId = None,
    *,
    reason: _Reason = "",
    all_: _All = False,
    yes: _Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put messages back on their queue, byte for byte.

    Names what a worker would reject again. Among several, such messages stay where they are.
    """
    with open_session() as session:
        store, limits = session.dead_letters, MessageLimits(session.settings.max_message_bytes)
        letters = list(_chosen(store, dead_id, _selection(dead_id, reason, all_)))
        if dead_id and letters[0].sha256:
            raise CliError(f"{dead_id}: {_not_whole(letters[0])}")
        doomed = {each.dead_id: why for each in letters if (why := _forecast(each, limits))}
        # One that is named goes all the same: workers may have other limits than this shell.
        going = [each.dead_id for each in letters if dead_id or each.dead_id not in doomed]
        preview = [f"{counted(len(going), 'message')} would go back to the queue"]
        preview += [f"{each} stays: it {why}" for each, why in islice(doomed.items(), _EXAMPLES)]
        preview += [f"and {len(doomed) - _EXAMPLES} more stay"] if len(doomed) > _EXAMPLES else []
        preview += (
            ["for those that stay: have the producer send them again, then drop them"] if doomed else []
        )
        _agree([] if dead_id else preview, asks=not (dead_id or yes) and bool(going))
        done = [each for each in going if store.replay(each)]
    document = {"replayed": dead_id or done, "wouldBeRejected": doomed}
    if dead_id:
        lines = [
            f"{dead_id} is back on the queue",
            *(f"but it {why}; its producer has to send it anew" for why in doomed.values()),
        ]
    else:
        lines = [f"{counted(len(done), 'message')} put back; {len(doomed)} stayed"]
    answer(document, [*lines, "watch: slotgen tail"], as_json=as_json)


@app.command()
def drop(
    dead_id: _MaybeId = None,
    *,
    reason: _Reason = "",
    all_: _All = False,
    yes: _Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete messages for good."""
    with open_session() as session:
        store = session.dead_letters
        letters = [each.dead_id for each in _chosen(store, dead_id, _selection(dead_id, reason, all_))]
        preview = [] if dead_id else [f"{counted(len(letters), 'dead letter')} would be deleted"]
        _agree(preview, asks=not (dead_id or yes) and bool(letters))
        done = [each for each in letters if store.drop(each)]
    gone = f"{dead_id} is dropped" if dead_id else f"{counted(len(done), 'dead letter')} dropped"
    answer({"dropped": dead_id or done}, [f"{gone}; this cannot be undone"], as_json=as_json)


def _selection(dead_id: str | None, reason: str, all_: bool) -> str:  # noqa: FBT001 - as the option has it
    if (dead_id is None) != bool(reason or all_):
        raise typer.BadParameter("name an ID, or --all, or --reason REASON --all")
    return reason


def _chosen(store: RedisDeadLetters, dead_id: str | None, reason: str) -> Iterator[DeadLetter]:
    """Yield the one letter, or all of a reason ("": of any), oldest first."""
    if dead_id is None:
        yield from (each for each in store.walk() if reason in {"", each.reason})
    elif letter := store.show(dead_id):
        yield letter
    else:
        raise _unknown(dead_id)


def _agree(preview: list[str], *, asks: bool) -> None:
    if preview:
        say(*preview, err=True)
    if asks:
        typer.confirm("Go on?", abort=True, err=True)


def _forecast(letter: DeadLetter, limits: MessageLimits) -> str:
    """Return why a replay would come to nothing, "" where a worker would take the message."""
    if letter.sha256:
        return _not_whole(letter)
    try:
        inspect(letter.message, limits)
    except Rejected as rejected:
        if (rejected.reason, rejected.problem) == (letter.reason, letter.problem):
            return "will be rejected again for the same reason"
        return f"will be rejected again: {_one_line(rejected.problem)} ({rejected.reason})"
    return ""


def _one_line(problem: str) -> str:
    return problem.replace("\n", "; ")


def _not_whole(letter: DeadLetter) -> str:
    return (
        f"cannot be replayed: of {letter.size_bytes} bytes, more than any worker takes, the first "
        f"{len(letter.message)} were kept; let its producer send it again in smaller specs"
    )


def _summary(letter: DeadLetter) -> dict[str, Any]:
    when = {"id": letter.dead_id, "rejectedAt": moment(letter.rejected_wall_ms, "milliseconds")}
    return when | fields(letter, "reason", "problem", "task_id") | {"bytes": letter.size_bytes}
