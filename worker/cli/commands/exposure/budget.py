"""`slotgen budget`: what the fleet may spend, has spent, and holds."""

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from tasks.operations.changes.dials import RecordedChange
from tasks.operations.changes.spend_cap import DIAL
from tasks.operations.money import Account, usd
from tasks.operations.timefmt import moment
from worker.adapters.redis.console.account import RedisAccount
from worker.cli.support.console import ContentConsole, words
from worker.cli.support.dial_command import By, apply
from worker.cli.support.operator_session import open_session
from worker.cli.support.options import Actor, AsJson, Override, Reason
from worker.cli.support.terminal import print_json, say, text_of

app = typer.Typer(help="Show the fleet's spend, or set its cap.", no_args_is_help=False)
_NONE = "none"


@app.callback(invoke_without_command=True)
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the cap, and what is spent, held and written off in this window, by model and allowlist rule."""
    if context.invoked_subcommand is not None:
        return
    with open_session() as session:
        account = RedisAccount.of_fleet(session.client, session.settings).read()
    if as_json:
        print_json(_document(account))
    else:
        _print(account)


def _cap(text: str) -> str:
    if text != _NONE and DIAL.parse(text.encode("ascii", "replace")) is None:
        raise typer.BadParameter(f"is {text!r}; {DIAL.remedy}, or none")
    return text


@app.command("set")
def set_cap(
    usd: Annotated[str, typer.Argument(help="US dollars per window, or none.", metavar="USD", callback=_cap)],
    *,
    reason: Reason = "",
    actor: Actor = None,
    override: Override = "",
    as_json: AsJson = False,
) -> None:
    """Set the cap. Lower is always allowed; higher widens exposure. A deployment's cap may be stricter."""
    apply(
        DIAL,
        lambda _: None if usd == _NONE else usd.encode(),
        By(f"slotgen budget set {usd}", actor, reason, override),
        undo=_undo,
        shown=lambda value: "no cap" if value is None else f"{text_of(value)} USD",
        as_json=as_json,
    )


def _undo(recorded: RecordedChange) -> str:
    before = recorded.before
    if before is None:
        return f"slotgen budget set {_NONE}"
    # A malformed cap denies every call, and so does 0.
    return f"slotgen budget set {before.decode() if DIAL.parse(before) is not None else '0'}"


def _print(account: Account) -> None:
    columns = (Column(each, justify="right") for each in ("spent", "held", "written off"))
    table = Table("model", *columns, box=None, padding=(0, 1), header_style="dim")
    for model, amounts in account.by_model.items():
        table.add_row(model, *map(usd, amounts))
    table.add_row("total", *map(usd, (account.spent, account.held, account.written_off)))
    cap = "there is no cap"
    if account.cap is not None:
        cap = f"cap {usd(account.cap)}, left {usd(account.left or 0)}"
    say(f"{cap}; the window ends {moment(account.ends * 1000)}")
    ContentConsole().print(table)
    if account.by_rule or account.of_no_rule:
        ContentConsole().print(_rules(account))


def _rules(account: Account) -> Table:
    table = Table(
        "rule", Column("spent or written off", justify="right"), box=None, padding=(0, 1), header_style="dim"
    )
    for rule, spent in sorted(account.by_rule.items(), key=lambda each: -each[1]):
        table.add_row(words(rule), usd(spent))
    if account.of_no_rule:
        table.add_row("no rule known", usd(account.of_no_rule))
    return table


def _document(account: Account) -> dict[str, Any]:
    def amounts(spent: int, held: int, written_off: int) -> dict[str, float]:
        return {"spentUsd": spent / 1e9, "heldUsd": held / 1e9, "writtenOffUsd": written_off / 1e9}

    return {
        "capUsd": None if account.cap is None else account.cap / 1e9,
        "leftUsd": None if account.left is None else account.left / 1e9,
        **amounts(account.spent, account.held, account.written_off),
        "byRule": {rule: spent / 1e9 for rule, spent in account.by_rule.items()},
        "ofNoRuleUsd": account.of_no_rule / 1e9,
        "byModel": {model: amounts(*each) for model, each in account.by_model.items()},
        "windowBegan": account.began,
        "windowEnds": account.ends,
    }
