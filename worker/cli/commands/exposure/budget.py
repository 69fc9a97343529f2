"""`slotgen budget`: what the fleet may spend, has spent, and holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.support.actor import Actor
from worker.cli.support.dial_command import AsJson, DialCommand, Override, Reason, apply
from worker.cli.support.errors import print_json
from worker.cli.support.operator_session import console

if TYPE_CHECKING:
    from tasks.operations.changes.dials import RecordedChange
    from tasks.operations.money import Account

app = typer.Typer(help="Show the fleet's spend, or set its cap.", no_args_is_help=False)
_NONE = "none"
_NANO = 10**9


@app.callback(invoke_without_command=True)
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the cap of the window, what is spent, held and written off, and by which model."""
    if context.invoked_subcommand is not None:
        return
    from worker.adapters.redis.console.account import RedisAccount  # noqa: PLC0415 - heavy imports wait for the command

    with console() as opened:
        settings = opened.settings
        cap, window_seconds = settings.budget_nano_usd, settings.budget_window_seconds
        account = RedisAccount(opened.client, settings.namespace, cap, window_seconds).read()
    if as_json:
        print_json(_document(account))
    else:
        _print(account)


def _cap(text: str) -> str:
    from tasks.operations.changes.spend_cap import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    if text != _NONE and DIAL.parse(text.encode("ascii", "replace")) is None:
        raise typer.BadParameter(f"is {text!r}; {DIAL.remedy}, or none")
    return text


@app.command("set")
def set_cap(
    usd: Annotated[
        str, typer.Argument(help="US dollars for a window, or none.", metavar="USD", callback=_cap)
    ],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Set the cap. Lower is always allowed; higher widens exposure. A deployment's own may be stricter."""
    from tasks.operations.changes.spend_cap import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    wish = DialCommand(
        dial=DIAL,
        after=lambda _: None if usd == _NONE else usd.encode(),
        undo=_undo,
        shown=_shown,
        command=f"slotgen budget set {usd}",
        reason=reason,
        actor=actor,
        override=override,
    )
    apply(wish, as_json=as_json)


def _undo(recorded: RecordedChange) -> str:
    from tasks.operations.changes.spend_cap import DIAL  # noqa: PLC0415 - heavy imports wait for the command

    before = recorded.before
    if before is None:
        return f"slotgen budget set {_NONE}"
    # A malformed cap denies every call, and so does 0.
    return f"slotgen budget set {before.decode() if DIAL.parse(before) is not None else '0'}"


def _shown(value: bytes | None) -> str:
    return _NONE if value is None else f"{value.decode(errors='backslashreplace')} USD"


def _print(account: Account) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait for the command
    from rich.table import Table  # noqa: PLC0415

    ends = datetime.fromtimestamp(account.ends, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    cap, left = _usd(account.cap), _usd(account.left)
    typer.echo(f"cap {cap}, left {left}; the window ends {ends}")
    table = Table("model", "spent", "held", "written off")
    for model, amounts in account.by_model.items():
        table.add_row(model, *(_usd(each) for each in amounts))
    table.add_section()
    table.add_row("together", _usd(account.spent), _usd(account.held), _usd(account.written_off))
    Console().print(table)


def _usd(nano: int | None) -> str:
    return _NONE if nano is None else f"${nano / _NANO:.6f}"


def _document(account: Account) -> dict[str, Any]:
    def usd(nano: int | None) -> float | None:
        return None if nano is None else nano / _NANO

    return {
        "capUsd": usd(account.cap),
        "leftUsd": usd(account.left),
        "spentUsd": usd(account.spent),
        "heldUsd": usd(account.held),
        "writtenOffUsd": usd(account.written_off),
        "byModel": {
            model: {"spentUsd": usd(spent), "heldUsd": usd(held), "writtenOffUsd": usd(written_off)}
            for model, (spent, held, written_off) in account.by_model.items()
        },
        "windowBegan": account.began,
        "windowEnds": account.ends,
    }
