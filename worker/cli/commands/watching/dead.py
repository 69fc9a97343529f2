"""`slotgen dead`: the rejected messages, why they were rejected, and the way back."""

import re
from typing import Annotated, Any

import typer
from rich.table import Table

from tasks.operations.timefmt import moment
from tasks.ports import DeadLetter
from worker.cli.support.console import ContentConsole
from worker.cli.support.errors import CliError
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import AsJson
from worker.cli.support.terminal import answer, fields, say, text_of

app = typer.Typer(help="List, show, replay or drop rejected messages.", no_args_is_help=True)
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


@app.command("list")
def list_dead(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List rejected messages, newest first."""
    with open_session() as session:
        letters = [_summary(each) for each in session.dead_letters.list(limit)]
        total = session.dead_letters.count()
    if as_json or not letters:
        answer({"total": total, "dead": letters}, ["no dead letters"], as_json=as_json)
        return
    table = Table("id", "rejected at", "reason", "problem", "bytes")
    for each in letters:
        table.add_row(each["id"], each["rejectedAt"], each["reason"], each["problem"], str(each["bytes"]))
    ContentConsole().print(table)
    say(f"{total} dead; next: slotgen dead show ID, slotgen dead replay ID, slotgen dead drop ID")


@app.command()
def show(dead_id: _DeadId, *, as_json: AsJson = False) -> None:
    """Show one rejected message whole: this prints what the producer sent."""
    with open_session() as session:
        letter = session.dead_letters.show(dead_id)
    if letter is None:
        raise _unknown(dead_id)
    whole = _summary(letter) | {"queue": letter.queue, "message": text_of(letter.message)}
    if letter.sha256:
        whole |= {"sha256": letter.sha256, "replayable": False, "why": _not_whole(letter)}
    answer(whole, (f"{name}: {value}" for name, value in whole.items()), as_json=as_json)


@app.command()
def replay(dead_id: _DeadId, *, as_json: AsJson = False) -> None:
    """Put one message back on its queue, byte for byte as it was."""
    with open_session() as session:
        if not session.dead_letters.replay(dead_id):
            letter = session.dead_letters.show(dead_id)
            raise CliError(f"{dead_id}: {_not_whole(letter)}") if letter else _unknown(dead_id)
    answer({"replayed": dead_id}, [f"{dead_id} is back on the queue"], as_json=as_json)


@app.command()
def drop(dead_id: _DeadId, *, as_json: AsJson = False) -> None:
    """Forget one message for good."""
    with open_session() as session:
        if not session.dead_letters.drop(dead_id):
            raise _unknown(dead_id)
    answer({"dropped": dead_id}, [f"{dead_id} is dropped; this cannot be undone"], as_json=as_json)


def _not_whole(letter: DeadLetter) -> str:
    return (
        f"cannot be replayed: of {letter.size_bytes} bytes, more than any worker takes, the first "
        f"{len(letter.message)} were kept; let its producer send it again in smaller specs"
    )


def _summary(letter: DeadLetter) -> dict[str, Any]:
    when = {"id": letter.dead_id, "rejectedAt": moment(letter.rejected_wall_ms, "milliseconds")}
    return when | fields(letter, "reason", "problem", "task_id") | {"bytes": letter.size_bytes}
