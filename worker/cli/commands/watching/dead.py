"""`slotgen dead`: the rejected messages, why they were rejected, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.connection import load_settings, open_redis
from worker.cli.support.errors import CliError, print_json, redis_errors_refused

if TYPE_CHECKING:
    from tasks.ports import DeadLetter
    from worker.adapters.redis.console.dead_letters import RedisDeadLetters

app = typer.Typer(help="List, show, replay or drop rejected messages.", no_args_is_help=True)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


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
    as_json: _Json = False,
) -> None:
    """List rejected messages, newest first."""
    with _dead_letters() as store:
        letters = store.list(limit)
        total = store.count()
    if as_json:
        print_json({"total": total, "dead": [_summary(each) for each in letters]})
        return
    _print_table(letters, total)


@app.command("show")
def show(dead_id: _DeadId, *, as_json: _Json = False) -> None:
    """Show one rejected message whole: this prints what the producer sent."""
    with _dead_letters() as store:
        letter = _found(store.show(dead_id), dead_id)
    whole = _summary(letter) | {
        "queue": letter.queue,
        "message": letter.message.decode(errors="backslashreplace"),
    }
    if as_json:
        print_json(whole)
        return
    for name, value in whole.items():
        typer.echo(f"{name}: {value}")


@app.command("replay")
def replay(dead_id: _DeadId, *, as_json: _Json = False) -> None:
    """Put one message back on its queue, byte for byte as it was."""
    with _dead_letters() as store:
        if not store.replay(dead_id):
            raise _unknown(dead_id)
    _done({"replayed": dead_id}, f"{dead_id} is back on the queue", as_json=as_json)


@app.command("drop")
def drop(dead_id: _DeadId, *, as_json: _Json = False) -> None:
    """Forget one message for good."""
    with _dead_letters() as store:
        if not store.drop(dead_id):
            raise _unknown(dead_id)
    _done({"dropped": dead_id}, f"{dead_id} is dropped; this cannot be undone", as_json=as_json)


@contextmanager
def _dead_letters() -> Iterator[RedisDeadLetters]:
    from worker.adapters.redis.console.dead_letters import RedisDeadLetters  # noqa: PLC0415 - heavy, waits for the command

    settings = load_settings()
    with open_redis(settings) as client, redis_errors_refused(client):
        yield RedisDeadLetters(client, settings.namespace)


def _found(letter: DeadLetter | None, dead_id: str) -> DeadLetter:
    if letter is None:
        raise _unknown(dead_id)
    return letter


def _unknown(dead_id: str) -> CliError:
    return CliError(f"there is no dead letter {dead_id!r}; see `slotgen dead list`")


def _done(document: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        typer.echo(sentence)


def _summary(letter: DeadLetter) -> dict[str, Any]:
    rejected_at = datetime.fromtimestamp(letter.rejected_wall_ms / 1000, UTC)
    return {
        "id": letter.dead_id,
        "rejectedAt": rejected_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "reason": letter.reason,
        "problem": letter.problem,
        "taskId": letter.task_id,
        "bytes": len(letter.message),
    }


def _print_table(letters: list[DeadLetter], total: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy, waits for the command
    from rich.table import Table  # noqa: PLC0415

    if not letters:
        typer.echo("no dead letters")
        return
    table = Table("id", "rejected at", "reason", "problem", "bytes")
    for letter in letters:
        row = _summary(letter)
        table.add_row(row["id"], row["rejectedAt"], row["reason"], row["problem"], str(row["bytes"]))
    console = Console()
    console.print(table)
    console.print(f"{total} dead; next: slotgen dead show ID, slotgen dead replay ID, slotgen dead drop ID")
